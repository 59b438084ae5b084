"""Poses adjusted to images of a plane, and of a room, whose true poses are known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from plane_keyframes import CAMERA, FISHEYE, swept, views_of
from textured_plane import TexturedPlane, above

from aceg_ros.datasets.base import Frame
from aceg_ros.errors import FitCancelled
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, pose_error, so3_exp, transform_points
from aceg_ros.mapping.adjustment import adjust_poses
from aceg_ros.mapping.keyframes import Keyframe, Patches
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import AdjustmentOptions, LandmarkOptions
from aceg_ros.mapping.tracks import find_corners
from aceg_ros.mapping.views import compare_views
from aceg_ros.maps.code import KnownCamera
from aceg_ros.monitor import Monitor

POSES = [
    above(x, y, 2.0 + 0.2 * y, (8 * y, -12 * x, 20 * x))
    for x in (-0.6, -0.2, 0.2, 0.6)
    for y in (-0.8, 0, 0.8)
]
SPOT = [above(turn=t) for t in [(0, 0, 0), (6, 0, 20), (0, 8, -10), (-6, 4, 0), (4, -8, 30)]]
CENTERS = torch.from_numpy(np.mgrid[3.5:320:8, 3.5:240:8].reshape(2, -1).T).float()  # of patches
METERS, DEGREES = 0.01, 0.3  # of an error, along and about each axis


def off(poses, meters=METERS, degrees=DEGREES):
    """Poses with an error each."""
    rng = np.random.default_rng(5)
    return [
        make_pose(
            so3_exp(np.radians(degrees) * rng.normal(size=3)) @ pose[:3, :3],
            pose[:3, 3] + meters * rng.normal(size=3),
        )
        for pose in poses
    ]


def given_at(keyframes, poses, measured=np.inf):
    """The keyframes with other poses, and the candidates that these lead to."""
    candidates = swept(keyframes, error=0.003, deviation=measured)
    points3d, owner = candidates.points3d.double().numpy(), candidates.keyframe.numpy()
    for index, pose in enumerate(poses):
        moved = pose @ inverse(keyframes[index].world_from_cam)
        points3d[owner == index] = transform_points(moved, points3d[owner == index])
    keyframes = [
        Keyframe(
            Frame('image', keyframe.camera, lambda: None, pose),
            keyframe.camera,
            pose,
            pose,
            None,
            Patches(None, None, CENTERS, keyframe.patches.rays),
            None,
            keyframe.gray,
            keyframe.descriptor,
        )
        for keyframe, pose in zip(keyframes, poses, strict=True)
    ]
    return keyframes, replace(candidates, points3d=torch.from_numpy(points3d).float())


MIN_CORNER = LandmarkOptions().min_corner


def adjusted(keyframes, candidates, options=None, **calls):
    pairs = compare_views(keyframes, 2.0)
    options = options or AdjustmentOptions(corners=600)
    return adjust_poses(keyframes, candidates, pairs, 2.0, options, MIN_CORNER, Monitor(**calls))


def errors(poses, true):
    """Means of meters and degrees, after the best shift and turn of all."""
    poses, true = np.stack(poses), np.stack(true)
    left, _, right = np.linalg.svd(np.einsum('kij,klj->il', true[:, :3, :3], poses[:, :3, :3]))
    turn = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    centers = poses[:, :3, 3] @ turn.T
    centers += true[:, :3, 3].mean(axis=0) - centers.mean(axis=0)
    meters, degrees = pose_error(make_pose(turn @ poses[:, :3, :3], centers), true)
    return np.array([meters.mean(), degrees.mean()])


def poses_of(adjustment):
    return [keyframe.world_from_cam for keyframe in adjustment.keyframes]


@pytest.fixture(scope='module')
def sights():
    return views_of(TexturedPlane(), poses=POSES)


@pytest.fixture(scope='module')
def wrong(sights):
    return given_at(sights, off(POSES))


class TestPosesThatDoNotFit:
    def test_found(self, wrong):
        found = adjusted(*wrong)
        before, after = (errors(poses, POSES) for poses in (off(POSES), poses_of(found)))
        assert (after < 0.6 * before).all(), (before, after)

    def test_far_off(self, sights):
        """Corners lie up to 20 px from where poses expect them, where others look like them."""
        given = off(POSES, 4 * METERS, 4 * DEGREES)
        found = adjusted(*given_at(sights, given))
        before, after = (errors(poses, POSES) for poses in (given, poses_of(found)))
        assert (after < np.array([0.4, 0.1]) * before).all(), (before, after)

    def test_each_keyframe_has_corners(self, wrong):
        found = find_corners(*wrong, count=len(POSES), min_corner=MIN_CORNER)
        assert np.bincount(found.keyframe, minlength=len(POSES)).min() > 10

    def test_through_a_fisheye_lens(self):
        keyframes = views_of(TexturedPlane(), FISHEYE, POSES)
        found = adjusted(*given_at(keyframes, off(POSES)))
        before, after = (errors(poses, POSES) for poses in (off(POSES), poses_of(found)))
        assert (after < 0.6 * before).all(), (before, after)

    def test_the_whole_stays_where_it_was(self, wrong):
        """What images do not tell: place, direction and size of it all."""
        given, found = off(POSES), poses_of(adjusted(*wrong))
        shift = np.mean([a[:3, 3] - b[:3, 3] for a, b in zip(found, given, strict=True)], axis=0)
        assert np.linalg.norm(shift) < 0.003

    def test_turns_on_the_spot_with_measured_depth(self):
        keyframes = views_of(TexturedPlane(), poses=SPOT)
        found = adjusted(*given_at(keyframes, off(SPOT), measured=0.003))
        before, after = (errors(poses, SPOT) for poses in (off(SPOT), poses_of(found)))
        assert after[1] < 0.4 * before[1]

    def test_note_says_by_how_much(self, wrong):
        (note,) = adjusted(*wrong).notes
        assert note.startswith('poses: they did not fit each other and were adjusted')
        before, after = (float(word) for word in note.split()[-4:-1:2])
        assert after < 0.5 * before

    def test_keyframes_given_stay(self, wrong):
        keyframes, candidates = wrong
        poses = [keyframe.world_from_cam.copy() for keyframe in keyframes]
        found = adjusted(keyframes, candidates)
        for keyframe, pose, moved in zip(keyframes, poses, found.keyframes, strict=True):
            np.testing.assert_array_equal(keyframe.world_from_cam, pose)
            assert moved.gray is keyframe.gray

    def test_a_map_of_them_is_better(self, views, engine, quick):
        """From frames to code, with poses as a SLAM gives them."""
        given = off([view.world_from_cam for view in views], 0.02, 0.4)
        frames = [
            replace(view, world_from_cam=pose) for view, pose in zip(views, given, strict=True)
        ]
        mapped = map_scene(frames, engine, quick)
        assert any('were adjusted' in note for note in mapped.notes)
        stamps = [view.stamp for view in views]
        chosen = [stamps.index(stamp) for stamp in mapped.code.keyframe_stamps]
        true = [views[index].world_from_cam for index in chosen]
        before = errors([given[index] for index in chosen], true)
        after = errors(mapped.code.keyframes, true)
        assert (after < 0.6 * before).all(), (before, after)


class TestCalibrations:
    """Images of a lens that distorts, with a calibration that does not say so."""

    LENS = Camera('plumb_bob', 320, 240, CAMERA.K, [-0.08, 0.02])

    @pytest.fixture(scope='class')
    def found(self):
        keyframes, candidates = self.given()
        return adjusted(keyframes, candidates)

    def given(self, claimed=CAMERA):
        """Keyframes and candidates as they are with the ``claimed`` calibration."""
        shot = views_of(TexturedPlane(), self.LENS, POSES)
        claimed_views = views_of(TexturedPlane(), claimed, POSES)
        keyframes, candidates = given_at(claimed_views, off(POSES))
        return [
            replace(keyframe, gray=seen.gray)
            for keyframe, seen in zip(keyframes, shot, strict=True)
        ], candidates

    def bend(self, camera):
        """By how much it bends the images of the lens, px; not what a turn does as well."""
        pixels = np.mgrid[10:320:20, 10:240:20].reshape(2, -1).T.astype(float)
        moved = camera.project(self.LENS.rays(pixels)) - pixels
        return np.linalg.norm(moved - moved.mean(axis=0), axis=1).max()

    def test_are_found(self, found):
        camera = found.keyframes[0].camera
        assert self.bend(CAMERA) > 5
        assert self.bend(camera) < 0.25 * self.bend(CAMERA)

    def test_all_of_a_keyframe_is_of_it(self, found):
        for keyframe in found.keyframes:
            assert keyframe.camera == keyframe.frame.camera == found.keyframes[0].camera
            rays = keyframe.camera.rays(keyframe.patches.points2d.double().numpy())
            np.testing.assert_allclose(keyframe.patches.rays, rays, atol=1e-6)

    def test_note_says_by_how_much(self, found):
        poses, calibration = found.notes
        assert poses.startswith('poses:')
        assert calibration.startswith('calibration: the images fit another one')
        camera = found.keyframes[0].camera
        assert f'k1 0 -> {camera.distortion[0]:.3g}' in calibration

    def test_poses_are_better(self, found):
        kept = adjusted(*self.given(), AdjustmentOptions(corners=600, calibration_worth=0.0))
        assert kept.keyframes[0].camera == CAMERA
        assert (errors(poses_of(found), POSES) < errors(poses_of(kept), POSES)).all()

    def test_one_that_fits_stays(self, wrong):
        for keyframe in adjusted(*wrong).keyframes:
            assert keyframe.camera is CAMERA

    def test_of_two_cameras_the_wrong_one_changes(self):
        keyframes, candidates = self.given()
        right, _ = self.given(claimed=self.LENS)
        mixed = keyframes[::2] + right[1::2]
        order = np.argsort([*range(0, len(keyframes), 2), *range(1, len(keyframes), 2)])
        found = adjusted([mixed[index] for index in order], candidates)
        changed, same = (found.keyframes[index].camera for index in (0, 1))
        assert self.bend(changed) < 0.25 * self.bend(CAMERA)
        assert self.bend(same) < 0.25 * self.bend(CAMERA)


class TestMounting:
    """Poses that are of a place beside the camera, and turned, as with wrong extrinsics."""

    GIVEN_FROM_CAM = make_pose(so3_exp(np.radians([0.8, -0.5, 0.6])), [0.008, -0.004, 0.006])
    GIVEN: ClassVar = list(np.stack(POSES) @ inverse(GIVEN_FROM_CAM))

    @pytest.fixture(scope='class')
    def found(self, sights):
        return adjusted(*given_at(sights, self.GIVEN))

    def test_is_found(self, found):
        (known,) = found.known.values()
        # A shift is hardly to be told from one of the whole where cameras look the same way.
        _, degrees = pose_error(np.array(known.given_from_cam), self.GIVEN_FROM_CAM)
        assert degrees < 0.3
        assert known.camera == CAMERA

    def test_poses_are_of_the_camera(self, found):
        before, after = (errors(poses, POSES) for poses in (self.GIVEN, poses_of(found)))
        assert (after < 0.5 * before).all(), (before, after)

    def test_note_says_by_how_much(self, found):
        _, mounting = found.notes
        assert mounting.startswith('mounting: the camera is turned by 1.')

    def test_recorded_poses_too(self, found):
        (known,) = found.known.values()
        for keyframe, given in zip(found.keyframes, self.GIVEN, strict=True):
            np.testing.assert_allclose(keyframe.recorded, given @ known.given_from_cam)

    def test_poses_that_drift_are_no_mounting(self, wrong):
        (known,) = adjusted(*wrong).known.values()
        np.testing.assert_allclose(known.given_from_cam, np.eye(4), atol=1e-6)

    def test_is_found_where_poses_drift_too(self, sights):
        given = off(self.GIVEN, degrees=0.2)
        (known,) = adjusted(*given_at(sights, given)).known.values()
        _, degrees = pose_error(np.array(known.given_from_cam), self.GIVEN_FROM_CAM)
        assert degrees < 0.5

    def test_is_found_with_a_wrong_calibration(self):
        """Each by itself explains a part of what the other does."""
        lens = Camera('plumb_bob', 320, 240, CAMERA.K, [-0.08, 0.02])
        shot = views_of(TexturedPlane(), lens, POSES)
        keyframes, candidates = given_at(views_of(TexturedPlane(), CAMERA, POSES), self.GIVEN)
        keyframes = [replace(k, gray=seen.gray) for k, seen in zip(keyframes, shot, strict=True)]
        (known,) = adjusted(keyframes, candidates).known.values()
        _, degrees = pose_error(np.array(known.given_from_cam), self.GIVEN_FROM_CAM)
        assert degrees < 0.5
        assert known.camera.distortion[0] < -0.05

    def test_stays_as_given_when_told(self, sights):
        options = AdjustmentOptions(corners=600, mount_worth=0.0)
        found = adjusted(*given_at(sights, self.GIVEN), options)
        (known,) = found.known.values()
        np.testing.assert_allclose(known.given_from_cam, np.eye(4), atol=1e-6)


class TestCamerasOfTheirOwn:
    """Each image has another calibration, as those of a phone that focuses."""

    @pytest.fixture(scope='class')
    def found(self, wrong):
        keyframes, candidates = wrong
        own = []
        for index, keyframe in enumerate(keyframes):
            K = keyframe.camera.K * (1 + 1e-4 * index)
            K[2, 2] = 1.0
            camera = Camera('pinhole', 320, 240, K)
            frame = replace(keyframe.frame, camera=camera)
            own.append(replace(keyframe, frame=frame, camera=camera))
        return adjusted(own, candidates)

    def test_poses_are_found(self, found):
        before, after = (errors(poses, POSES) for poses in (off(POSES), poses_of(found)))
        assert (after < 0.5 * before).all()

    def test_no_camera_takes_up_the_error_of_its_pose(self, found, wrong):
        assert len(found.known) == len(POSES)
        for given, known in found.known.items():
            assert known == KnownCamera(given)
        for keyframe, before in zip(found.keyframes, wrong[0], strict=True):
            np.testing.assert_array_equal(keyframe.recorded, before.world_from_cam)
        assert len(found.notes) == 1


class TestPosesThatStay:
    def test_those_that_fit(self, sights):
        assert adjusted(*given_at(sights, POSES)) is None

    def test_when_not_wanted(self, wrong):
        assert adjusted(*wrong, AdjustmentOptions(enabled=False)) is None

    def test_without_parallax_or_depth(self):
        """Distances are unknown, so nothing moves but what turns explain."""
        keyframes = views_of(TexturedPlane(), poses=SPOT)
        found = adjusted(*given_at(keyframes, off(SPOT)))
        if found is not None:
            assert errors(poses_of(found), SPOT)[0] < 2 * errors(off(SPOT), SPOT)[0]

    def test_blank_images(self, wrong):
        keyframes, candidates = wrong
        blank = [replace(keyframe, gray=np.full_like(keyframe.gray, 90)) for keyframe in keyframes]
        assert adjusted(blank, candidates) is None

    def test_images_that_do_not_belong_together(self, wrong):
        keyframes, candidates = wrong
        rolled = [
            replace(keyframe, gray=np.roll(keyframe.gray, 60 * index, axis=1))
            for index, keyframe in enumerate(keyframes)
        ]
        assert adjusted(rolled, candidates) is None

    def test_nothing_in_common(self, wrong):
        keyframes, candidates = wrong
        assert adjusted(keyframes[:2], candidates) is None

    def test_no_candidates(self, sights):
        assert adjusted(sights, swept(sights, each=0)) is None


class TestProgress:
    def test_rounds_are_reported(self, wrong):
        reports = []
        adjusted(*wrong, progress=lambda *report: reports.append(report))
        assert [stage for stage, _, _ in reports] == ['adjust'] * 3
        assert reports[1][2] == 'round 2 of 3'

    def test_cancelled(self, wrong):
        asked = SimpleNamespace(times=0)

        def cancelled():
            asked.times += 1
            return asked.times > 3

        with pytest.raises(FitCancelled):
            adjusted(*wrong, cancelled=cancelled)
