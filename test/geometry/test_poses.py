"""Rigid transforms: against closed forms, scipy's matrix exponential and real pose files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from aceg_ros.errors import PoseError
from aceg_ros.geometry import poses


def random_pose(rng):
    rotation = Rotation.random(random_state=int(rng.integers(1 << 31))).as_matrix()
    return poses.make_pose(rotation, rng.normal(size=3))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


class TestTransforms:
    def test_inverse_undoes_a_batch(self, rng):
        batch = np.stack([random_pose(rng) for _ in range(5)])
        np.testing.assert_allclose(
            batch @ poses.inverse(batch), np.tile(np.eye(4), (5, 1, 1)), atol=1e-12
        )

    def test_compose_applies_the_last_first(self, rng):
        a, b = random_pose(rng), random_pose(rng)
        points = rng.normal(size=(4, 3))
        once = poses.transform_points(poses.compose(a, b), points)
        twice = poses.transform_points(a, poses.transform_points(b, points))
        np.testing.assert_allclose(once, twice, atol=1e-12)

    def test_project_rotation_never_mirrors(self):
        projected = poses.project_rotation(np.diag([1.0, 1.0, -0.9]))
        assert np.linalg.det(projected) == pytest.approx(1.0)

    def test_interpolate_meets_its_ends_and_halves_the_angle(self, rng):
        a, b = random_pose(rng), random_pose(rng)
        np.testing.assert_allclose(poses.interpolate(a, b, 0.0), a, atol=1e-12)
        np.testing.assert_allclose(poses.interpolate(a, b, 1.0), b, atol=1e-12)
        middle = poses.interpolate(a, b, 0.5)
        distance, angle = poses.pose_error(a, b)
        half_distance, half_angle = poses.pose_error(a, middle)
        assert half_distance == pytest.approx(distance / 2)
        assert half_angle == pytest.approx(angle / 2)


class TestValidatePose:
    def test_mends_rounding(self, rng):
        pose = random_pose(rng)
        mended = poses.validate_pose(np.round(pose, 3).tolist())
        np.testing.assert_allclose(mended[:3, :3] @ mended[:3, :3].T, np.eye(3), atol=1e-14)
        np.testing.assert_allclose(mended, pose, atol=2e-3)

    @pytest.mark.parametrize(
        ('pose', 'reason'),
        [
            (np.eye(3), 'shape'),
            (np.full((4, 4), np.nan), 'nan'),
            (np.diag([2.0, 2.0, 2.0, 1.0]), 'scale'),
            (np.diag([1.0, 1.0, -1.0, 1.0]), 'mirror'),
            (np.diag([1e308, -1e308, 1e308, 1.0]), 'scale'),
            (np.eye(4) + np.eye(4)[[3, 0, 1, 2]], 'last row'),
            ('seven', 'numbers'),
        ],
    )
    def test_refuses(self, pose, reason):
        with pytest.raises(PoseError, match=reason):
            poses.validate_pose(pose)


class TestAngles:
    @pytest.mark.parametrize('degrees', [0.0, 1e-6, 0.3, 90.0, 179.0, 180.0])
    def test_rotation_angle(self, rng, degrees):
        start = random_pose(rng)[:3, :3]
        axis = np.array([1.0, 2.0, -2.0]) / 3.0
        turned = start @ poses.so3_exp(np.deg2rad(degrees) * axis)
        assert poses.rotation_angle_deg(start, turned) == pytest.approx(degrees, rel=1e-6, abs=1e-9)

    def test_rounded_rotations_have_no_angle_to_themselves(self, shared):
        files = sorted((shared / 'data/redkitchen/seq-02').glob('*.pose.txt'))
        for file in files:
            world_from_cam = np.loadtxt(file)
            rotation = world_from_cam[:3, :3]
            exact = poses.validate_pose(world_from_cam)[:3, :3]
            assert np.isfinite(poses.rotation_angle_deg(rotation, rotation))
            assert poses.rotation_angle_deg(rotation, rotation) < 1e-5
            assert poses.rotation_angle_deg(rotation, exact) < 1e-5

    def test_pose_error_of_a_batch(self, rng):
        batch = np.stack([random_pose(rng) for _ in range(3)])
        moved = batch.copy()
        moved[:, 0, 3] += 0.25
        meters, degrees = poses.pose_error(batch, moved)
        np.testing.assert_allclose(meters, 0.25)
        np.testing.assert_allclose(degrees, 0.0, atol=1e-6)


class TestParametrizations:
    def test_so3_log_undoes_exp(self, rng):
        vectors = rng.normal(size=(4, 3))
        for vector in (vectors[0], vectors):
            np.testing.assert_allclose(poses.so3_log(poses.so3_exp(vector)), vector, atol=1e-12)

    @pytest.mark.parametrize('angle', [0.0, 1e-9, 1e-5, 1e-3, 2.5])
    def test_se3_exp_is_the_matrix_exponential(self, angle):
        twist = np.concatenate([[0.3, -1.0, 2.0], angle * np.array([0.6, 0.0, -0.8])])
        generator = np.zeros((4, 4))
        generator[:3, :3] = poses.skew(twist[3:])
        generator[:3, 3] = twist[:3]
        np.testing.assert_allclose(poses.se3_exp(twist), expm(generator), atol=1e-12)

    def test_quaternion_round_trip(self, rng):
        rotation = random_pose(rng)[:3, :3]
        xyzw = poses.quaternion_from_rotation(rotation)
        assert xyzw[3] >= 0
        np.testing.assert_allclose(poses.rotation_from_quaternion(xyzw), rotation, atol=1e-12)

    def test_quaternion_order_is_xyzw(self):
        quarter = np.sqrt(0.5)
        rotation = poses.rotation_from_quaternion([0.0, 0.0, quarter, quarter])
        np.testing.assert_allclose(rotation @ [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], atol=1e-12)

    def test_tum_round_trip(self, rng):
        pose = random_pose(rng)
        np.testing.assert_allclose(poses.pose_from_tum(poses.pose_to_tum(pose)), pose, atol=1e-12)

    @pytest.mark.parametrize(
        'numbers',
        [
            [0.0] * 7,
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.nan],
            [np.inf, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
            [0.0, 0.0, 0.0, 1.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.5],
        ],
    )
    def test_bad_tum_poses_are_refused(self, numbers):
        with pytest.raises(PoseError):
            poses.pose_from_tum(numbers)
