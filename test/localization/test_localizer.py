"""From an image to a pose in the room's map, or to the reason why there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import cv2
import numpy as np
import pytest
from reprojection_errors import reprojection_errors

from aceg_ros.encoder import view
from aceg_ros.errors import ImageError, MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, pose_error, so3_exp, transform_points
from aceg_ros.lab.traps.images import on_a_screen
from aceg_ros.lab.worlds import WorldOptions, make_world, record, tour
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.options import GateOptions, LandmarkOptions, LocalizationOptions
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
from aceg_ros.localization.uncertainty import Spacing
from aceg_ros.options import configured


class TestPose:
    def test_is_right(self, found, query):
        meters, degrees = pose_error(found.world_from_cam, query.world_from_cam)
        assert (meters < 0.15, degrees < 5.0) == (True, True)

    def test_is_rigid(self, found):
        pose = found.world_from_cam
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
        np.testing.assert_array_equal(pose[3], [0, 0, 0, 1])

    def test_same_image_same_pose(self, localizer, query, found):
        again = localizer.localize(query.image(), query.camera)
        np.testing.assert_allclose(again.world_from_cam, found.world_from_cam, atol=1e-9)

    def test_the_image_is_not_changed(self, localizer, query):
        image = query.image()
        before = image.copy()
        localizer.localize(image, query.camera)
        np.testing.assert_array_equal(image, before)

    def test_evidence(self, found):
        count = len(found.points2d)
        assert found.points2d.shape == (count, 2)
        assert found.points3d.shape == (count, 3)
        assert found.sigma.shape == found.inliers.shape == (count,)
        assert found.inliers.dtype == bool
        assert (found.sigma > 0).all()
        assert found.inliers.sum() >= GateOptions().min_inliers

    def test_inliers_agree_with_the_pose_given(self, found, query):
        """Inliers are those of the refined pose, not of a step before it."""
        errors = reprojection_errors(found, query.camera)
        assert np.median(errors[found.inliers]) < 7.0
        assert errors[found.inliers].max() < 2 * LocalizationOptions().reader.anchored.threshold_px

    def test_times_of_all_stages(self, found):
        assert set(found.seconds) >= {'encode', 'read', 'ransac', 'refine', 'align', 'verify'}
        assert all(seconds >= 0 for seconds in found.seconds.values())

    def test_sigma_grows_with_the_error(self, localizer, queries):
        """Patches the code calls certain are nearer to the true surface than the others."""
        ratios = []
        for frame in queries:
            answer = localizer.localize(frame.image(), frame.camera)
            if isinstance(answer, LocalizationFailure):
                continue
            points_cam = transform_points(inverse(frame.world_from_cam), answer.points3d)
            errors = np.linalg.norm(frame.camera.project(points_cam) - answer.points2d, axis=1)
            errors = np.nan_to_num(errors, nan=1e3)
            certain = answer.sigma < np.median(answer.sigma)
            ratios.append(np.median(errors[certain]) / np.median(errors[~certain]))
        assert np.median(ratios) < 1.0


class TestPicture:
    """The place on a screen in another place."""

    @pytest.fixture
    def pictures(self, queries):
        rng = np.random.default_rng(0)
        elsewhere = rng.integers(0, 255, queries[0].image().shape, np.uint8)
        return [(on_a_screen(each.image(), elsewhere, rng), each) for each in queries]

    @pytest.fixture
    def refused(self, mapped, engine):
        """Whether an image is refused for its camera, where nothing else speaks against it."""
        settings = {'min_confidence': 1e-6, 'max_rival': 99, 'camera_weight': 99}
        easy = configured(LocalizationOptions(), {'gate': settings})
        localizer = Localizer(mapped.code, engine, easy)

        def localize(image, camera):
            answer = localizer.localize(image, camera)
            return not answer and answer.reason is Reason.OTHER_CAMERA

        return localize

    def test_is_known_as_one_where_depths_tell(self, pictures, refused):
        """These images are small, so that some do not tell."""
        assert sum(refused(image, frame.camera) for image, frame in pictures) >= 3

    def test_the_place_is_not(self, pictures, refused):
        """But for one in eight perhaps: a misfit costs more here than it does by default."""
        assert sum(refused(frame.image(), frame.camera) for _, frame in pictures) <= 1


class TestRefusedWhereThePlaceIsKnown:
    """The pose that was refused tells how the camera is rolled."""

    @pytest.mark.parametrize(('roll', 'turns'), [(0, [0]), (52, [0, 3]), (-52, [0, 1])])
    def test_is_turned_if_that_brings_it_nearer_to_the_keyframes(
        self, mapped, engine, query, room, monkeypatch, roll, turns
    ):
        settings = {
            'gate.min_confidence': 1.0,
            'search.sure_support_ratio': 0.5,
            'search.sure_confidence': 0.0,
        }
        strict = Localizer(mapped.code, engine, configured(LocalizationOptions(), settings))
        rolled = query.world_from_cam.copy()
        rolled[:3, :3] = rolled[:3, :3] @ so3_exp([0.0, 0.0, np.radians(roll)])
        (frame,) = record(room, query.camera, rolled[None], supersample=1).frames
        asked, in_one_size = [], strict._finder._in_one_size

        def in_one_size(images, turns, *rest, find=in_one_size):
            asked.extend(turns)
            return find(images, turns, *rest)

        monkeypatch.setattr(strict._finder, '_in_one_size', in_one_size)
        monkeypatch.setattr(strict._finder._turns, 'better', lambda image, turn: turn)
        assert not strict.localize(frame.image(), frame.camera)
        assert asked == turns


class TestAttempts:
    """Sampling may end in a pose that is right for a part of the image only."""

    FOUR: ClassVar = {'search.attempts': (1.0, 1.7, 2.5, 1.0), 'search.sure_confidence': 0.0}

    @pytest.fixture
    def sampled(self, query, monkeypatch):
        """What RANSAC is asked; it is wrong at first, and right from `right_from` on."""
        asked = []

        def ransac(rays, points3d, cameras, threshold_px, prior=None, seed=0):
            asked.append((threshold_px, seed))
            wrong = query.world_from_cam.copy()
            wrong[:3, :3] = wrong[:3, :3] @ so3_exp([0.0, np.radians(25.0), 0.0])
            pose = wrong if len(asked) < ransac.right_from else query.world_from_cam
            return [(pose, np.ones(len(rays), bool))]

        ransac.asked = asked
        monkeypatch.setattr('aceg_ros.localization.search.ransac_poses', ransac)
        return ransac

    def test_goes_on_until_most_readings_agree(self, mapped, engine, query, sampled):
        options = configured(
            LocalizationOptions(), {**self.FOUR, 'search.least_support_ratios': (0.0,)}
        )
        sampled.right_from = 3
        answer = Localizer(mapped.code, engine, options).localize(query.image(), query.camera)
        assert sampled.asked == [(12.0, 0), (20.4, 1), (30.0, 2)]
        assert pose_error(answer.world_from_cam, query.world_from_cam)[0] < 0.1

    def test_a_sure_pose_is_enough(self, localizer, query, sampled):
        sampled.right_from = 1
        localizer.localize(query.image(), query.camera)
        assert len(sampled.asked) == 1

    def test_gives_up_an_image_that_no_pose_explains(self, mapped, engine, query, sampled):
        settings = {**self.FOUR, 'search.least_support_ratios': (0.9, 0.95)}
        options = configured(LocalizationOptions(), settings)
        sampled.right_from = 3
        Localizer(mapped.code, engine, options).localize(query.image(), query.camera)
        assert 1 <= len(sampled.asked) < 3

    def test_the_best_of_all(self, mapped, engine, query, sampled):
        """With none sure, all are tried and the one most agree with is taken."""
        settings = {'search.sure_inlier_ratio': 1.0, 'search.least_support_ratios': (0.0,)}
        options = configured(LocalizationOptions(), {**self.FOUR, **settings})
        doubting = Localizer(mapped.code, engine, options)
        sampled.right_from = 4
        answer = doubting.localize(query.image(), query.camera)
        assert len(sampled.asked) == 4
        assert pose_error(answer.world_from_cam, query.world_from_cam)[0] < 0.1


class TestCovariance:
    def test_symmetric_and_positive_definite(self, localizer, queries):
        for frame in queries:
            answer = localizer.localize(frame.image(), frame.camera)
            if isinstance(answer, LocalizationFailure):
                continue
            covariance = answer.covariance
            assert covariance.shape == (6, 6)
            np.testing.assert_allclose(covariance, covariance.T, rtol=1e-9)
            assert np.linalg.eigvalsh(covariance).min() > 0

    def test_has_the_size_of_errors(self, found):
        deviations = np.sqrt(np.diag(found.covariance))
        assert 5e-4 < deviations[:3].max() < 0.3
        assert 1e-4 < deviations[3:].max() < 0.1

    def test_holds_the_error_of_the_map(self, mapped, engine, query):
        """A map known to be off by more gives poses that are less certain, in every direction."""
        covariances = []
        for angle in (0.0, 0.01):
            info = replace(mapped.code.info, view_error=angle)
            code = replace(mapped.code, info=info)
            answer = Localizer(code, engine).localize(query.image(), query.camera)
            covariances.append(answer.covariance)
        added = covariances[1] - covariances[0]
        code = mapped.code
        depth = code.info.quality.median_depth
        spacing = Spacing(code.keyframes, code.keyframe_sessions, depth)
        factor = spacing.factor(answer.evidence['distance'], answer.evidence['angle'])
        assert factor != 1.0
        np.testing.assert_allclose(np.diag(added)[3:], (0.01 * factor) ** 2, rtol=1e-6)
        distance = np.sqrt(np.diag(added)[:3]) / (0.01 * factor)
        assert (distance > 0.5).all()
        assert (distance < 6.0).all()

    def test_is_smaller_where_held_out_views_were_more_exact(self, mapped, engine, query):
        answers = []
        for scale in (1.0, 0.25):
            info = replace(mapped.code.info, covariance_scale=scale, view_error=0.0)
            code = replace(mapped.code, info=info)
            answers.append(Localizer(code, engine).localize(query.image(), query.camera))
        whole, part = (answer.covariance for answer in answers)
        assert 0.24 < part[0, 0] / whole[0, 0] < 0.99
        np.testing.assert_allclose(part, whole * part[0, 0] / whole[0, 0], rtol=1e-9)
        assert answers[0].confidence == answers[1].confidence

    def test_confidence_does_not_depend_on_it(self, mapped, engine, query, found):
        """The confidence model was trained with another covariance, and keeps it."""
        options = configured(LocalizationOptions(), {'uncertainty.depth': 0.5})
        answer = Localizer(mapped.code, engine, options).localize(query.image(), query.camera)
        assert answer.confidence == found.confidence
        assert np.trace(answer.covariance[:3, :3]) > 2 * np.trace(found.covariance[:3, :3])
        np.testing.assert_array_equal(answer.residual_covariance, found.residual_covariance)


class TestPrior:
    def test_right(self, localizer, query):
        answer = localizer.localize(query.image(), query.camera, prior=query.world_from_cam)
        meters, degrees = pose_error(answer.world_from_cam, query.world_from_cam)
        assert (meters < 0.15, degrees < 5.0) == (True, True)

    def test_wrong_is_harmless(self, localizer, query, found):
        rng = np.random.default_rng(0)
        for _ in range(3):
            wrong = make_pose(so3_exp(rng.normal(size=3)), rng.normal(size=3) * 5)
            answer = localizer.localize(query.image(), query.camera, prior=wrong)
            meters, degrees = pose_error(answer.world_from_cam, found.world_from_cam)
            assert (meters < 0.05, degrees < 1.0) == (True, True)

    def test_does_not_make_a_stranger_known(self, localizer, strangers, queries):
        frame = strangers[0]
        answer = localizer.localize(frame.image(), frame.camera, prior=queries[0].world_from_cam)
        assert isinstance(answer, LocalizationFailure)


_KNOWN_COLUMNS = 90  # of 320


@pytest.fixture(scope='module')
def strangers(room_camera):
    """Views of another room."""
    world = make_world(8, WorldOptions(texture_size=128))
    return record(world, room_camera, tour(world, 40, seed=8)[::5], supersample=1).frames


class TestRefused:
    def test_another_room(self, localizer, strangers):
        for frame in strangers:
            answer = localizer.localize(frame.image(), frame.camera)
            assert isinstance(answer, LocalizationFailure)
            assert answer.reason in (
                'unknown_view',
                'no_pose',
                'undetermined',
                'few_inliers',
                'uncertain',
                'unlike_map',
                'ambiguous',
                'far_view',
            )
            assert answer.message
            assert answer.seconds

    def test_a_known_thing_in_a_strange_place(self, mapped, engine, queries, strangers):
        """A quarter of the image agrees on a pose, as a second chair like the mapped one would."""
        localizers = [
            Localizer(mapped.code, engine, LocalizationOptions(gate=gate))
            for gate in (GateOptions(min_confidence=0.0, max_rival=1e6), GateOptions())
        ]
        lenient, strict = [], []
        for known, strange in zip(queries, strangers, strict=False):
            image = strange.image().copy()
            image[:, :_KNOWN_COLUMNS] = known.image()[:, :_KNOWN_COLUMNS]
            for each, answers in zip(localizers, (lenient, strict), strict=True):
                answers.append(each.localize(image, known.camera))
        given = [sum(isinstance(a, Localization) for a in answers) for answers in (lenient, strict)]
        assert given[0] > 2 * given[1]
        reasons = {a.reason for a in strict if isinstance(a, LocalizationFailure)}
        assert reasons & {'unlike_map', 'few_inliers', 'uncertain'}

    @pytest.mark.parametrize('picture', ['black', 'white', 'ramp', 'noise', 'stripes'])
    def test_pictures_of_nothing(self, localizer, room_camera, picture):
        image = {
            'black': np.zeros((240, 320, 3), np.uint8),
            'white': np.full((240, 320, 3), 255, np.uint8),
            'ramp': np.tile(np.linspace(0, 255, 320).astype(np.uint8)[None, :, None], (240, 1, 3)),
            'noise': np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8),
            'stripes': np.tile(
                (np.arange(320) // 8 % 2 * 255).astype(np.uint8)[None, :, None], (240, 1, 3)
            ),
        }[picture]
        answer = localizer.localize(image, room_camera)
        assert isinstance(answer, LocalizationFailure)
        if picture in ('black', 'white', 'ramp'):
            assert answer.reason == 'featureless'

    def test_a_reflected_room(self, localizer, queries):
        """One in eight may be taken for a view of it, and none surely."""
        answers = [
            localizer.localize(np.ascontiguousarray(frame.image()[::-1]), frame.camera)
            for frame in queries
        ]
        assert sum(isinstance(answer, Localization) for answer in answers) <= 1
        assert max(answer.confidence for answer in answers) < 0.7

    def test_stricter_options_refuse_more(self, mapped, engine, query):
        options = LocalizationOptions(gate=GateOptions(min_inliers=999))
        strict = Localizer(mapped.code, engine, options)
        answer = strict.localize(query.image(), query.camera)
        assert isinstance(answer, LocalizationFailure)
        assert answer.reason in ('few_inliers', 'unknown_view')


class TestBadInput:
    @pytest.mark.parametrize(
        'image',
        [
            np.zeros((240, 320), np.uint8),
            np.zeros((240, 320, 4), np.uint8),
            np.zeros((240, 320, 3), np.uint16),
            np.zeros((240, 320, 3), np.float32),
            np.zeros((0, 0, 3), np.uint8),
        ],
        ids=['gray', 'alpha', '16 bits', 'float', 'empty'],
    )
    def test_no_rgb_image(self, localizer, room_camera, image):
        with pytest.raises(ImageError):
            localizer.localize(image, room_camera)

    def test_another_size_than_calibrated(self, localizer, room_camera):
        with pytest.raises(
            ImageError, match=r'160x120 px but its camera is calibrated for 320x240'
        ):
            localizer.localize(np.zeros((120, 160, 3), np.uint8), room_camera)

    def test_too_small_for_patches(self, localizer):
        camera = Camera.pinhole(40, 30, 32.0, 32.0, 19.5, 14.5)
        with pytest.raises(ImageError, match='64x64'):
            localizer.localize(np.zeros((30, 40, 3), np.uint8), camera)

    def test_map_of_another_encoder(self, mapped, engine):
        info = replace(mapped.code.info, encoder='compact-0123')
        with pytest.raises(MapCodeError, match='encoder compact-0123'):
            Localizer(replace(mapped.code, info=info), engine)

    def test_map_of_another_regressor(self, mapped, engine):
        info = replace(mapped.code.info, regressor='0123')
        with pytest.raises(MapCodeError, match='regressor 0123'):
            Localizer(replace(mapped.code, info=info), engine)


class TestImageSizes:
    def test_large_images_are_shrunk_and_points_given_in_the_original(
        self, mapped, engine, query, room_camera, monkeypatch
    ):
        monkeypatch.setattr(view, 'MAX_PIXELS', 320 * 240)
        # Patches lie on a grid, landmarks anywhere.
        options = LocalizationOptions(landmarks=LandmarkOptions(count=0))
        localizer = Localizer(mapped.code, engine, options)
        camera = room_camera.scaled(1280, 960)
        image = cv2.resize(query.image(), (1280, 960), interpolation=cv2.INTER_CUBIC)
        answer = localizer.localize(image, camera)
        assert isinstance(answer, Localization)
        meters, _ = pose_error(answer.world_from_cam, query.world_from_cam)
        assert meters < 0.15
        in_view = (answer.points2d + 0.5) / 4 - 0.5
        np.testing.assert_allclose((in_view - 3.5) % 8, 0, atol=1e-9)
        assert answer.points2d.max(axis=0) == pytest.approx([1280, 960], abs=100)
        errors = reprojection_errors(answer, camera)[answer.inliers]
        assert np.median(errors) < 28.0  # 7 px at the size mapped

    @pytest.mark.parametrize('center', [160.0, -900.0], ids=['some', 'all'])
    def test_patches_beyond_the_lens_model_are_left_out(self, localizer, center):
        """A fisheye whose image is larger than what its lens can see."""
        K = np.array([[30.0, 0.0, center], [0.0, 30.0, 120.0], [0.0, 0.0, 1.0]])
        camera = Camera('equidistant', 320, 240, K, [0.0, 0.0, 0.0, 0.0])
        rays = view.patch_rays(camera, 8)[1]
        assert np.isnan(rays).any()
        noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
        assert isinstance(localizer.localize(noise, camera), LocalizationFailure)
