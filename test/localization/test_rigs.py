"""Rigs of cameras in a map: one pose of all images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.errors import CameraError, ImageError, PoseError
from aceg_ros.geometry.cameras import turned_from_cam
from aceg_ros.geometry.poses import inverse, make_pose, pose_error, so3_exp
from aceg_ros.geometry.rigs import Rig
from aceg_ros.lab.worlds import record
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import LocalizationFailure, Reason
from aceg_ros.localization.views import View, near
from aceg_ros.pose.matches import Matches
from aceg_ros.readers.base import ImagePatches, Prediction

APART = make_pose(so3_exp([0.0, np.radians(30.0), 0.0]), [0.2, 0.0, 0.0])
MOUNTS = np.stack([make_pose(so3_exp([0.1, 0.0, 0.0]), [0.3, 0.0, 0.1]), APART])


@pytest.fixture(scope='module')
def localizer(mapped, engine):
    return Localizer(mapped.code, engine)


@pytest.fixture(scope='module')
def world_from_rig(queries):
    """Where the first camera of the rig sees a query."""
    return queries[3].world_from_cam @ inverse(MOUNTS[0])


@pytest.fixture(scope='module')
def images(room, room_camera, world_from_rig):
    frames = record(room, room_camera, world_from_rig @ MOUNTS, supersample=1).frames
    return [frame.image() for frame in frames]


@pytest.fixture(scope='module')
def rig(room_camera):
    return Rig((room_camera, room_camera), MOUNTS)


def is_near(found, truth, meters=0.03, degrees=1.0):
    assert found, found.message
    off = pose_error(found.world_from_cam, truth)
    return off[0] < meters and off[1] < degrees


def test_one_camera_gives_what_its_image_gives(localizer, images, room_camera):
    alone = localizer.localize(images[0], room_camera)
    found = localizer.localize_rig(images[:1], Rig((room_camera,), np.eye(4)[None]))
    np.testing.assert_array_equal(found.world_from_cam, alone.world_from_cam)
    np.testing.assert_array_equal(found.covariance, alone.covariance)
    assert found.confidence == alone.confidence


def test_two_cameras_give_one_pose(localizer, images, rig, world_from_rig, room_camera):
    found = localizer.localize_rig(images, rig)
    assert is_near(found, world_from_rig)
    assert set(found.cameras[found.inliers]) == {0, 1}
    inside = found.points2d[found.inliers]
    assert ((inside > -1) & (inside < (room_camera.width, room_camera.height))).all()


def test_a_prior_is_the_rigs(localizer, images, rig, world_from_rig):
    assert is_near(localizer.localize_rig(images, rig, prior=world_from_rig), world_from_rig)


@pytest.mark.parametrize('blind', [0, 1])
@pytest.mark.parametrize('how', ['missing', 'blank', 'noise'])
def test_a_camera_that_sees_nothing_does_not_hurt(
    localizer, images, rig, world_from_rig, blind, how
):
    shape = images[0].shape
    noise = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    seen = {'missing': None, 'blank': np.full(shape, 128, np.uint8), 'noise': noise}[how]
    given = [seen if index == blind else image for index, image in enumerate(images)]
    found = localizer.localize_rig(given, rig)
    assert is_near(found, world_from_rig)
    assert set(found.cameras) == {1 - blind}


def test_cameras_that_are_mounted_rolled(localizer, images, room_camera, world_from_rig):
    """By a quarter turn, in which the map knows little of their images."""
    rolled = [np.ascontiguousarray(np.rot90(image)) for image in images]
    camera = room_camera.turned(1)
    rig = Rig((camera, camera), MOUNTS @ turned_from_cam(-1))
    found = localizer.localize_rig(rolled, rig)
    assert is_near(found, world_from_rig)
    inliers = found.inliers & (found.cameras == 1)
    there = found.points3d[inliers] - (found.world_from_cam @ rig.rig_from_cam[1])[:3, 3]
    pixels = camera.project(there @ (found.world_from_cam @ rig.rig_from_cam[1])[:3, :3])
    assert np.median(np.linalg.norm(pixels - found.points2d[inliers], axis=1)) < 5


def test_an_image_of_another_time_comes_with_the_motion_since(
    localizer, images, room, room_camera, rig, world_from_rig
):
    moved = make_pose(so3_exp([0.0, 0.1, 0.0]), [0.3, 0.0, 0.1])  # now_from_then
    then = record(room, room_camera, (world_from_rig @ moved @ MOUNTS[1])[None], supersample=1)
    given = [images[0], then.frames[0].image()]
    known = localizer.localize_rig(given, rig, now_from_then=[np.eye(4), moved])
    assert is_near(known, world_from_rig)
    assert set(known.cameras[known.inliers]) == {0, 1}


def test_cameras_that_contradict_each_other_are_less_believed(
    localizer, images, rig, queries, room_camera
):
    """A rig whose second camera shows another place of the map than the mounting says."""
    found = localizer.localize_rig([images[0], queries[7].image()], rig)
    alone = localizer.localize(images[0], room_camera)
    confidence = found.confidence
    assert confidence < alone.confidence


def test_all_blank(localizer, rig, images):
    found = localizer.localize_rig([np.full_like(image, 90) for image in images], rig)
    assert isinstance(found, LocalizationFailure)
    assert found.reason is Reason.FEATURELESS


@pytest.mark.parametrize('given', [[None, None], ['one']])
def test_images_that_do_not_fit_are_refused(localizer, rig, images, given):
    given = [images[0] if each == 'one' else each for each in given]
    with pytest.raises(ImageError, match='one for each camera'):
        localizer.localize_rig(given, rig)


def test_rigs_that_are_none(room_camera):
    with pytest.raises(CameraError, match='at least one'):
        Rig((), np.zeros((0, 4, 4)))
    with pytest.raises(PoseError, match='rig_from_cam of each'):
        Rig((room_camera,), MOUNTS)
    with pytest.raises(PoseError):
        Rig((room_camera,), np.ones((1, 4, 4)))


class FakeReader:
    """Agrees with any pose near it."""

    threshold_px = 10.0

    def predict_near(self, patches, world_from_cam, first):
        return Prediction(first.matches, support_ratio=0.8, near_count=100)


def test_a_view_whose_first_matches_disagree_has_no_part(room_camera):
    pixels = np.random.default_rng(0).uniform(20, 200, (50, 2))
    rays = room_camera.rays(pixels)
    right = Matches(rays, pixels, 2.0 * rays, np.full(50, 0.01))
    wrong = replace(right, points3d=2.0 * rays[::-1] + (0.0, 1.0, 0.0))
    patches = ImagePatches(None, rays, pixels, room_camera, None, 8)
    views = [View(None, patches, Prediction(each), np.eye(4)) for each in (right, wrong, right)]
    found = near(FakeReader(), views, np.eye(4))
    assert found.agreeing.tolist() == [True, False, True]
    assert set(found.matches.mounting.camera) == {0, 2}
    assert found.weights.tolist() == [100.0] * 3
    only = near(FakeReader(), views[1:2], np.eye(4))
    assert only.agreeing.all()  # of one camera it is as without a rig
