"""Cameras that are not as in mapping: known better by the map, rolled, or nearer."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from reprojection_errors import reprojection_errors
from scipy.spatial import KDTree

from aceg_ros.geometry.cameras import Camera, turned_from_cam
from aceg_ros.geometry.poses import make_pose, pose_error, so3_exp
from aceg_ros.lab.worlds import record
from aceg_ros.localization.encoded import EncodedImage
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.options import LocalizationOptions
from aceg_ros.maps.code import KnownCamera, as_matrix4
from aceg_ros.options import configured


class TestCameraThatTheMapKnows:
    """A camera with a wrong calibration and mounting, of which the map knows the right ones."""

    MOUNT = make_pose(so3_exp(np.array([0.02, -0.01, 0.01])), [0.03, 0.01, -0.02])

    @pytest.fixture(scope='class')
    def wrong(self, room_camera):
        return Camera('plumb_bob', 320, 240, room_camera.K * [[1.02], [1.02], [1]], [0.1])

    def known(self, camera):
        return KnownCamera(camera, as_matrix4(self.MOUNT))

    @pytest.fixture(scope='class')
    def knowing(self, mapped, engine, wrong, room_camera):
        info = replace(mapped.code.info, cameras=(wrong,), known=(self.known(room_camera),))
        return Localizer(replace(mapped.code, info=info), engine)

    def test_gives_the_pose_of_what_the_mapping_poses_were_of(self, knowing, wrong, query, found):
        answer = knowing.localize(query.image(), wrong)
        np.testing.assert_allclose(
            answer.world_from_cam @ self.MOUNT, found.world_from_cam, atol=1e-5
        )
        # Landmarks that are about as frontal may change places, each with its point.
        ours, true = (np.hstack([x.points2d / 0.01, x.points3d / 1e-4]) for x in (answer, found))
        off, place = KDTree(true).query(ours, p=np.inf)
        assert off.max() < 1
        assert np.array_equal(np.sort(place), np.arange(len(true)))

    def test_encoded_images_stay_as_they_are(self, knowing, localizer, wrong, query):
        """Maps of other calibrations take them too."""
        encoded = knowing.encode(query.image(), wrong)
        rays = encoded.patches.rays.copy()
        knowing.localize_encoded(encoded)
        assert encoded.camera == wrong
        np.testing.assert_array_equal(encoded.patches.rays, rays)
        assert knowing.encoding == localizer.encoding


class TestRolledCamera:
    @pytest.fixture(params=[1, 2, 3], ids=['90', '180', '270'])
    def turn(self, request):
        return request.param

    @pytest.fixture
    def rolled(self, query, turn):
        """The image of a camera that is rolled, and that camera."""
        return np.ascontiguousarray(np.rot90(query.image(), turn)), query.camera.turned(turn)

    @pytest.fixture
    def expected(self, query, turn):
        return query.world_from_cam @ turned_from_cam(-turn)

    def test_is_found(self, localizer, rolled, expected):
        answer = localizer.localize(*rolled)
        meters, degrees = pose_error(answer.world_from_cam, expected)
        assert (meters < 0.15, degrees < 5.0) == (True, True)

    def test_says_how_it_was_turned_and_takes_it_from_another_map(
        self, localizer, found, rolled, turn, expected, monkeypatch
    ):
        answer = localizer.localize(*rolled)
        assert (found.turns, answer.turns) == ((0,), (4 - turn,))
        monkeypatch.setattr(localizer._finder._turns, 'better', pytest.fail)
        monkeypatch.setattr(EncodedImage, 'half', property(pytest.fail))
        encoded, mounts = localizer.encode(*rolled), np.eye(4)[None]
        again = localizer.localize_encoded_rig([encoded], mounts, turns=answer.turns)
        assert pose_error(again.world_from_cam, expected)[0] < 0.15
        assert not localizer.localize_encoded_rig([encoded], mounts, turns=(0,))

    def test_the_pose_explains_the_pixels_as_they_were_given(self, localizer, rolled):
        answer = localizer.localize(*rolled)
        assert np.median(reprojection_errors(answer, rolled[1])[answer.inliers]) < 7.0

    def test_covariance_is_that_of_the_upright_view(self, localizer, found, rolled):
        answer = localizer.localize(*rolled)
        np.testing.assert_allclose(
            np.sqrt(np.diag(answer.covariance)), np.sqrt(np.diag(found.covariance)), rtol=0.5
        )

    def test_a_prior_tells_how_it_is_rolled(self, localizer, rolled, expected, monkeypatch):
        monkeypatch.setattr(localizer._finder._turns, 'better', pytest.fail)  # it is not needed
        answer = localizer.localize(*rolled, prior=expected)
        assert pose_error(answer.world_from_cam, expected)[0] < 0.15

    def test_is_refused_where_no_turn_may_be_tried(self, mapped, engine, rolled):
        options = configured(LocalizationOptions(), {'search': {'min_turn_gain': 1.0}})
        assert not Localizer(mapped.code, engine, options).localize(*rolled)


class TestNearerThanInMapping:
    """A camera of a longer focal length sees things as one that is nearer would."""

    @pytest.fixture(scope='class')
    def near(self, query, room):
        """Three times as near."""
        camera = query.camera.scaled(2 * query.camera.width, 2 * query.camera.height)
        K = camera.K.copy()
        K[[0, 1], [0, 1]] *= 1.5
        camera = replace(camera, K=K)
        return record(room, camera, query.world_from_cam[None], supersample=1).frames[0]

    def localizer(self, mapped, engine, sure):
        options = configured(LocalizationOptions(), {'search.sure_confidence': sure})
        return Localizer(mapped.code, engine, options)

    def test_is_found_in_an_image_of_half_the_size(self, mapped, engine, near):
        image, true = near.image(), near.world_from_cam
        as_it_is = self.localizer(mapped, engine, 0.0).localize(image, near.camera)
        answer = self.localizer(mapped, engine, 0.9).localize(image, near.camera)
        assert as_it_is.confidence < 0.9 < answer.confidence
        assert pose_error(answer.world_from_cam, true)[0] < 0.15
        assert np.median(reprojection_errors(answer, near.camera)[answer.inliers]) < 7.0

    def test_a_sure_pose_is_not_looked_for_twice(self, localizer, query, monkeypatch):
        monkeypatch.setattr(EncodedImage, 'half', property(pytest.fail))
        assert localizer.localize(query.image(), query.camera).confidence > 0.9

    def test_has_a_least_size(self, localizer, query):
        image = cv2.resize(query.image(), (128, 96), interpolation=cv2.INTER_AREA)
        assert localizer.encode(image, query.camera.scaled(128, 96)).half is None


@pytest.mark.parametrize('turn', range(4))
def test_pixels_of_a_turned_image_that_the_encoder_cut(turn):
    """It cuts at the right and at the bottom, which after a turn are elsewhere."""
    camera = Camera.pinhole(640, 480, 500.0, 500.0, 319.5, 239.5)
    cut = Camera.pinhole(630, 476, 500.0, 500.0, 319.5, 239.5)
    image = EncodedImage(camera.turned(turn), None, cut.turned(turn), None, None, 0.0, turn=turn)
    pixel = np.array([[100.0, 50.0]])
    np.testing.assert_allclose(image.given_pixels(cut.turned_pixels(pixel, turn)), pixel)
