"""PlanarPatches found in images of a plane, where their true places are known."""

from __future__ import annotations

import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest
from textured_plane import TexturedPlane, above

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, pose_error, so3_exp, transform_points
from aceg_ros.landmarks.landmarks import SIDE, Landmarks
from aceg_ros.landmarks.templates import (
    PlanarPatches,
    facing_axes,
    find_planar_patches,
    most_frontal,
    normalized,
    planar_patches,
    sample_templates,
)
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.options import GateOptions, LandmarkOptions, LocalizationOptions
from aceg_ros.localization.result import Localization

CAMERA = Camera.pinhole(320, 240, 300.0, 300.0, 158.5, 120.5)
LENSES = {
    'barrel': Camera(
        'plumb_bob',
        320,
        240,
        np.array([[280.0, 0, 163.0], [0, 275.0, 117.0], [0, 0, 1]]),
        [-0.28, 0.074, 0.002, -0.003],
    ),
    'fisheye': Camera(
        'equidistant',
        320,
        240,
        np.array([[220.0, 0, 155.0], [0, 221.0, 122.0], [0, 0, 1]]),
        [-0.01, 0.004, -0.001, 0.0001],
    ),
}
HOME = above()  # of the only keyframe
COUNT = 300
WRONG = 'templates', 'points3d', 'keyframe'  # what is of other landmarks


@pytest.fixture(scope='module')
def plane():
    return TexturedPlane()


@pytest.fixture(scope='module')
def landmarks(plane):
    """Corners all over the keyframe's image, on the plane."""
    return cut_out(plane, CAMERA)


@pytest.fixture(scope='module')
def squares(landmarks):
    return planar_patches(landmarks, HOME[None])


@pytest.fixture(scope='module')
def blank():
    return np.full((240, 320), 131.0, np.float32)


def cut_out(plane, camera):
    """`COUNT` landmarks of `HOME`."""
    image = plane.gray(camera, HOME)
    inner = np.zeros((240, 320), np.uint8)
    inner[20:220, 20:300] = 1
    corners = cv2.goodFeaturesToTrack(image, COUNT, 0.01, 4.0, mask=inner)
    points3d = plane.meet(camera, HOME, corners.reshape(-1, 2).astype(float))
    angle = np.full(COUNT, 1 / camera.focal)
    templates = sample_templates(image, camera, HOME, points3d, facing_axes(points3d, HOME, angle))
    return Landmarks(
        points3d.astype(np.float32),
        templates.round().astype(np.uint8),
        np.zeros(COUNT, np.uint16),
        angle.astype(np.float32),
    )


def aside(world_from_cam, camera, pixels):
    """A pose so wrong that everything appears about that many pixels off."""
    shift = pixels / np.sqrt(2) / camera.focal
    return world_from_cam @ make_pose(so3_exp(np.array([shift, shift, 0.0])), np.zeros(3))


def errors_px(found, squares, camera, world_from_cam):
    """How far squares were found from where they are, (M,)."""
    in_view = transform_points(inverse(world_from_cam), squares.centers[found.index])
    return np.linalg.norm(found.points2d - camera.project(in_view), axis=1)


def found_from(guess, image, squares, camera=CAMERA, reach=4, min_similarity=0.7, **options):
    return find_planar_patches(image, camera, guess, squares, reach, min_similarity, **options)


class TestFound:
    @pytest.mark.parametrize(
        ('pose', 'light'),
        [
            (HOME, (1.0, 0.0)),
            (above(turn=(0, 0, 30)), (1.0, 0.0)),
            (above(height=2 / 0.7), (1.0, 0.0)),
            (above(height=2 / 1.4), (1.0, 0.0)),
            (above(x=0.9, y=-0.2, turn=(0, -25, 0)), (1.0, 0.0)),
            (above(x=0.1), (0.5, 70.0)),
            (above(x=0.1), (1.3, -40.0)),
        ],
        ids=['same', 'turned', 'smaller', 'larger', 'from the side', 'dull', 'hard'],
    )
    def test_to_a_fraction_of_a_pixel(self, plane, squares, pose, light):
        image = plane.gray(CAMERA, pose, *light)
        found = found_from(aside(pose, CAMERA, 2.0), image, squares)
        assert len(found.index) > 0.3 * COUNT
        errors = errors_px(found, squares, CAMERA, pose)
        assert np.median(errors) < 0.15
        assert (errors < 0.5).mean() > 0.95

    @pytest.mark.parametrize('lens', LENSES)
    def test_through_any_lens(self, plane, squares, lens):
        """PlanarPatches cut out by a pinhole camera, seen by another."""
        camera, pose = LENSES[lens], above(x=0.2, y=0.1, turn=(5, -4, 10))
        found = found_from(aside(pose, camera, 2.0), plane.gray(camera, pose), squares, camera)
        assert len(found.index) > 0.3 * COUNT
        assert np.median(errors_px(found, squares, camera, pose)) < 0.15

    @pytest.mark.parametrize('lens', LENSES)
    def test_cut_out_of_images_of_any_lens(self, plane, lens):
        camera = LENSES[lens]
        squares = planar_patches(cut_out(plane, camera), HOME[None])
        pose = above(x=0.2, turn=(0, 0, 20))
        found = found_from(aside(pose, CAMERA, 2.0), plane.gray(CAMERA, pose), squares)
        assert len(found.index) > 0.3 * COUNT
        assert np.median(errors_px(found, squares, CAMERA, pose)) < 0.15

    def test_no_bias(self, plane, squares):
        """Errors cancel out over many squares, however the guess is off."""
        pose = above(x=0.3, turn=(0, -5, 0))
        image = plane.gray(CAMERA, pose)
        for turn in ([0.006, 0, 0], [-0.006, 0, 0], [0, 0.006, 0], [0, -0.006, 0]):
            guess = pose @ make_pose(so3_exp(np.array(turn)), np.zeros(3))
            found = found_from(guess, image, squares)
            in_view = transform_points(inverse(pose), squares.centers[found.index])
            offset = found.points2d - CAMERA.project(in_view)
            assert np.abs(np.median(offset, axis=0)).max() < 0.03

    def test_similarity_tells_what_changed(self, plane, squares):
        """It is near 1 for the same view, less for a view from the side, never above 1."""
        levels = []
        for pose in (HOME, above(x=1.2, turn=(0, -30, 0))):
            found = found_from(pose, plane.gray(CAMERA, pose), squares, min_similarity=0.0)
            assert found.similarity.max() < 1 + 1e-4
            levels.append(np.median(found.similarity))
        assert levels[0] > 0.97
        assert levels[1] < levels[0] - 0.02

    def test_similarity_is_at_most_1_where_contrast_is_faint(self):
        """Single pixels of a bright image are brighter by four gray values."""
        points2d = np.mgrid[60:260:10, 60:180:10].reshape(2, -1).T + 0.3
        image = np.full((240, 320), 250.0, np.float32)
        columns, rows = points2d.astype(int).T
        image[rows, columns] = 254.0
        centers = TexturedPlane.meet(CAMERA, HOME, points2d)
        axes = facing_axes(centers, HOME, np.full(len(centers), 1 / CAMERA.focal))
        spots = PlanarPatches(
            centers,
            axes,
            normalized(sample_templates(image, CAMERA, HOME, centers, axes)),
            np.zeros(len(centers), np.int64),
        )
        found = found_from(HOME, image, spots, min_similarity=0.5)
        assert len(found.index) > 0.9 * len(spots)
        assert found.similarity.max() < 1 + 1e-3

    def test_more_than_opencv_takes_at_once(self, plane, squares):
        image = plane.gray(CAMERA, HOME)
        few = found_from(HOME, image, squares, reach=1)
        repeated = squares.subset(np.tile(np.arange(COUNT), 115))
        many = found_from(HOME, image, repeated, reach=1)
        assert len(many.index) == 115 * len(few.index) > 2**15
        np.testing.assert_allclose(many.points2d[-len(few.index) :], few.points2d)


class TestLeftOut:
    def test_out_of_view(self, plane, squares):
        """The camera has turned until half of the squares are beyond the image."""
        pose = above(turn=(0, 25, 0))
        found = found_from(pose, plane.gray(CAMERA, pose), squares)
        assert 0.2 * COUNT < len(found.index) < 0.6 * COUNT
        assert (found.points2d > 0).all()
        assert (found.points2d < [319, 239]).all()
        assert np.median(errors_px(found, squares, CAMERA, pose)) < 0.15

    @pytest.mark.parametrize('camera', [CAMERA, LENSES['fisheye']], ids=['pinhole', 'fisheye'])
    def test_behind_the_camera(self, plane, squares, camera):
        away = above(turn=(0, 180, 0))
        assert len(found_from(away, plane.gray(camera, HOME), squares, camera).index) == 0

    @pytest.mark.parametrize('scale', [0.35, 2.3])
    def test_at_another_scale(self, plane, squares, scale):
        pose = above(height=2 / scale)
        image = plane.gray(CAMERA, pose)
        assert len(found_from(pose, image, squares, min_similarity=-1.0).index) == 0

    def test_of_another_look(self, plane, squares):
        """Chance alone hardly makes squares alike."""
        image = plane.gray(CAMERA, HOME)
        others = replace(squares, templates=np.roll(squares.templates, 1, axis=0))
        true, false = (found_from(HOME, image, s, reach=2) for s in (squares, others))
        assert len(true.index) > 0.9 * len(found_from(HOME, image, squares, CAMERA, 2, -1.0).index)
        assert len(false.index) < 0.1 * len(true.index)

    def test_negative(self, plane, squares):
        image = 255 - plane.gray(CAMERA, HOME)
        assert len(found_from(HOME, image, squares, reach=2, min_similarity=0.8).index) < 10

    def test_at_the_border_of_the_search(self, plane, squares):
        """4.5 px off is beyond a search of 4 px, which finds the best at its edge."""
        pose = HOME @ make_pose(so3_exp(np.array([0.0, 4.5 / CAMERA.focal, 0.0])), np.zeros(3))
        image = plane.gray(CAMERA, HOME)
        near, far = (found_from(pose, image, squares, CAMERA, r) for r in (4, 6))
        assert len(far.index) > 0.6 * COUNT
        assert np.median(errors_px(far, squares, CAMERA, HOME)) < 0.2
        assert len(near.index) < 0.1 * len(far.index)

    def test_pattern_that_repeats_within_the_search(self, plane, squares):
        image = plane.gray(CAMERA, HOME)
        repeating = np.tile(image[100:112, 100:112], (20, 27))[:240, :320]
        templates = normalized(
            sample_templates(repeating, CAMERA, HOME, squares.centers, squares.axes)
        )
        alike = replace(squares, templates=templates)
        assert len(found_from(HOME, repeating, alike, reach=10).index) > 0.5 * COUNT
        assert len(found_from(HOME, repeating, alike, reach=14, min_lead=0.1).index) == 0
        # Where the search sees the pattern once only, and in other images, it makes no difference.
        assert len(found_from(HOME, repeating, alike, reach=4, min_lead=0.1).index) > 0.5 * COUNT
        assert len(found_from(HOME, image, squares, reach=10, min_lead=0.1).index) > 0.7 * COUNT

    def test_all_but_the_first(self, plane, squares):
        image = plane.gray(CAMERA, HOME)
        everything = found_from(HOME, image, squares, min_similarity=-2.0)
        some = found_from(HOME, image, squares, min_similarity=-2.0, most=40)
        np.testing.assert_array_equal(some.index, everything.index[:40])
        assert len(everything.index) > 200
        assert len(found_from(HOME, image, squares, most=0).index) == 0

    def test_index_points_into_what_was_given(self, plane, squares):
        image = plane.gray(CAMERA, HOME)
        reverse = np.arange(COUNT)[::-1]
        there, back = (found_from(HOME, image, s) for s in (squares, squares.subset(reverse)))
        np.testing.assert_array_equal(np.sort(reverse[back.index]), there.index)


class TestNothing:
    @pytest.fixture(autouse=True)
    def no_warnings(self):
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            yield

    def test_no_landmarks(self, plane):
        none = planar_patches(Landmarks.none(), HOME[None])
        assert len(none) == 0
        assert len(most_frontal(none, np.zeros(3), 0.7)) == 0
        found = found_from(HOME, plane.gray(CAMERA, HOME), none)
        assert found.points2d.shape == (0, 2)
        assert found.index.shape == found.similarity.shape == (0,)

    def test_none_in_view(self, plane, squares):
        found = found_from(above(x=50.0), plane.gray(CAMERA, HOME), squares)
        assert found.points2d.shape == (0, 2)

    @pytest.mark.parametrize('level', [0.0, 131.0, 255.0])
    def test_flat_image(self, squares, level):
        image = np.full((240, 320), level, np.float32)
        assert len(found_from(HOME, image, squares).index) == 0

    def test_flat_squares(self, plane, blank, squares):
        flat = sample_templates(blank, CAMERA, HOME, squares.centers, squares.axes)
        flat = replace(squares, templates=normalized(flat))
        assert np.isfinite(flat.templates).all()
        assert len(found_from(HOME, plane.gray(CAMERA, HOME), flat).index) == 0
        assert len(found_from(HOME, blank, flat).index) == 0

    def test_image_smaller_than_the_search(self, squares):
        camera = CAMERA.scaled(20, 15)
        image = np.zeros((15, 20), np.float32)
        assert len(found_from(HOME, image, squares, camera).index) == 0


def random_squares(count, rng):
    """Points about two meters away from poses of any direction."""
    poses = np.stack([make_pose(so3_exp(rng.normal(size=3)), rng.normal(size=3)) for _ in 'abcde'])
    poses = poses[rng.integers(5, size=count)]
    offsets = rng.normal(size=(count, 3)) * 0.5 + [0, 0, 2]
    centers = np.einsum('nij,nj->ni', poses[:, :3, :3], offsets) + poses[:, :3, 3]
    return centers, poses, rng.uniform(1e-3, 1e-2, count)


class TestGeometry:
    def test_axes_are_a_square_that_faces_the_camera(self, rng):
        centers, poses, angle = random_squares(50, rng)
        axes = facing_axes(centers, poses, angle)
        distance = np.linalg.norm(centers - poses[:, :3, 3], axis=1)
        towards = (centers - poses[:, :3, 3]) / distance[:, None]
        length = np.linalg.norm(axes, axis=2)
        np.testing.assert_allclose(length, np.stack([angle * distance] * 2, axis=1))
        np.testing.assert_allclose(np.einsum('ni,ni->n', axes[:, 0], axes[:, 1]), 0, atol=1e-12)
        np.testing.assert_allclose(np.einsum('nai,ni->na', axes, towards), 0, atol=1e-12)
        away = np.cross(axes[:, 0], axes[:, 1]) / (length[:, :1] * length[:, 1:])
        np.testing.assert_allclose(away, towards, atol=1e-12)
        assert (np.einsum('ni,ni->n', axes[:, 0], poses[:, :3, 0]) > 0).all()

    def test_one_pose_for_all(self, rng):
        centers, poses, angle = random_squares(20, rng)
        repeated = np.repeat(poses[:1], 20, axis=0)
        np.testing.assert_allclose(
            facing_axes(centers, poses[0], angle), facing_axes(centers, repeated, angle)
        )

    def test_a_look_is_the_image_itself(self):
        """A square straight ahead, of pixels' size, between four pixels, is what the pixels are."""
        image = np.random.default_rng(0).uniform(0, 255, (240, 320)).astype(np.float32)
        angle = np.array([1 / CAMERA.focal])
        center = np.zeros((1, 3))  # at pixel (158.5, 120.5)
        look = sample_templates(image, CAMERA, HOME, center, facing_axes(center, HOME, angle))
        half = SIDE // 2
        pixels = image[121 - half : 121 + half, 159 - half : 159 + half]
        np.testing.assert_allclose(look[0], pixels, atol=1e-3)

    def test_most_frontal_first(self):
        """PlanarPatches that face five directions, 0 to 60 degrees from the viewer's."""
        degrees = np.array([20.0, 60.0, 0.0, 45.0, 10.0])
        turns = so3_exp(np.radians(degrees)[:, None] * [[0.0, 1.0, 0.0]])
        centers = np.tile([0.0, 0.0, 2.0], (5, 1))
        origins = centers - 2 * turns[:, :, 2]
        axes = facing_axes(centers, make_pose(turns, origins), np.full(5, 0.003))
        squares = PlanarPatches(
            centers, axes, np.zeros((5, SIDE, SIDE), np.float32), np.zeros(5, np.int64)
        )
        assert most_frontal(squares, np.zeros(3), np.radians(46)).tolist() == [2, 4, 0, 3]
        assert most_frontal(squares, np.zeros(3), np.radians(44)).tolist() == [2, 4, 0]
        assert most_frontal(squares, np.array([0.0, 0.0, 4.0]), np.radians(60)).tolist() == []

    def test_most_frontal_knows_no_distance(self, squares):
        near, far = (most_frontal(squares, np.array([0, 0, -z]), 0.01) for z in (1.9, 2.0))
        assert set(near) < set(far)
        assert len(far) == COUNT


class TestStored:
    def test_templates_survive_their_bytes(self, plane, landmarks, squares):
        image = plane.gray(CAMERA, HOME)
        exact = normalized(sample_templates(image, CAMERA, HOME, squares.centers, squares.axes))
        assert landmarks.templates.dtype == np.uint8
        assert np.einsum('nij,nij->n', exact, squares.templates).min() > 0.97

    def test_templates_have_mean_0_and_length_1(self, squares):
        np.testing.assert_allclose(squares.templates.mean(axis=(1, 2)), 0, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(squares.templates, axis=(1, 2)), 1, rtol=1e-5)

    def test_each_by_its_own_keyframe(self, landmarks):
        poses = np.stack([HOME, above(x=1.0, turn=(0, 0, 90))])
        mixed = replace(landmarks, keyframe=(np.arange(COUNT) % 2).astype(np.uint16))
        axes = planar_patches(mixed, poses).axes
        for index, pose in enumerate(poses):
            own = mixed.subset(mixed.keyframe == index)
            expected = facing_axes(own.points3d.astype(float), pose, own.angle.astype(float))
            np.testing.assert_allclose(axes[index::2], expected)

    def test_subset(self, landmarks):
        assert len(landmarks) == COUNT
        some = landmarks.subset(np.array([7, 3]))
        np.testing.assert_array_equal(some.points3d, landmarks.points3d[[7, 3]])
        np.testing.assert_array_equal(some.templates, landmarks.templates[[7, 3]])
        assert len(landmarks.subset(np.zeros(COUNT, bool))) == len(Landmarks.none()) == 0


class TestLocalizer:
    """The room's map, with and without its landmarks."""

    @pytest.fixture(scope='class')
    def answers(self, mapped, engine, queries):
        """A function from landmarks and options to the answers."""

        def answers(chosen, **options):
            code = replace(mapped.code, landmarks=chosen)
            options = LocalizationOptions(
                landmarks=LandmarkOptions(**options), gate=GateOptions(min_confidence=0.0)
            )
            localizer = Localizer(code, engine, options)
            found = [localizer.localize(query.image(), query.camera) for query in queries]
            assert all(isinstance(answer, Localization) for answer in found)
            return found

        return answers

    @pytest.fixture(scope='class')
    def errors(self, answers, queries):
        """A function from landmarks and options to errors (N, 2) in meters and degrees."""

        def errors(chosen, **options):
            pairs = zip(answers(chosen, **options), queries, strict=True)
            return np.array([pose_error(a.world_from_cam, q.world_from_cam) for a, q in pairs])

        return errors

    @pytest.fixture(scope='class')
    def without(self, errors):
        return errors(Landmarks.none())

    def test_landmarks_make_poses_exact(self, mapped, errors, without):
        exact = errors(mapped.code.landmarks)
        assert (exact < without + np.array([0.005, 0.1])).all()
        assert np.median(exact[:, 0]) < min(0.006, 0.4 * np.median(without[:, 0]))
        assert np.median(exact[:, 1]) < min(0.2, 0.4 * np.median(without[:, 1]))

    def test_none_wanted(self, mapped, errors, without):
        np.testing.assert_allclose(errors(mapped.code.landmarks, count=0), without)

    @pytest.mark.parametrize('wrong', WRONG)
    def test_half_of_them_wrong_do_little_harm(self, mapped, errors, without, wrong):
        meters, degrees = errors(spoilt(mapped.code.landmarks, wrong, 0.5)).T
        assert np.median(meters) < 0.4 * np.median(without[:, 0])
        assert meters.max() < 0.4 * without[:, 0].max()
        assert degrees.max() < 0.4 * without[:, 1].max()

    @pytest.mark.parametrize('wrong', WRONG)
    def test_all_of_them_wrong_make_no_pose_sure_of_itself(self, mapped, answers, queries, wrong):
        found = answers(spoilt(mapped.code.landmarks, wrong, 1.0))
        for answer, query in zip(found, queries, strict=True):
            meters, _ = pose_error(answer.world_from_cam, query.world_from_cam)
            assert meters < 2 * np.sqrt(np.trace(answer.covariance[:3, :3]))


def spoilt(landmarks, column, part):
    """The landmarks, of which such a part have a ``column`` of others."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(landmarks))[: int(part * len(landmarks))]
    order = np.arange(len(landmarks))
    order[np.sort(chosen)] = chosen
    return replace(landmarks, **{column: getattr(landmarks, column)[order]})
