"""Maps in UTM or ECEF coordinates are as good as those near the origin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.cli.main import main
from aceg_ros.datasets import open_dataset
from aceg_ros.engine import Engine
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.geometry.poses import inverse, pose_error, shifted, transform_points
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.origin import local_frames
from aceg_ros.maps.code import world_keyframes
from aceg_ros.maps.file import read_map

UTM = np.array([448262.3, 5411932.7, 213.5])
ECEF = np.array([2511673.6, 1438633.7, 5664733.7])
PLACES = {'utm': UTM, 'ecef': ECEF}


def moved(frames, offset):
    """The same views, in a frame whose origin is far away."""
    return [replace(f, world_from_cam=shifted(f.world_from_cam, offset)) for f in frames]


@pytest.fixture(scope='module', params=PLACES)
def offset(request):
    return PLACES[request.param]


@pytest.fixture(scope='module')
def far(views, offset, engine, quick):
    """The room's map, made from the same views far away."""
    return map_scene(moved(views, offset), engine, quick)


def found(code, engine, frame, prior=None):
    answer = Localizer(code, engine).localize(frame.image(), frame.camera, prior)
    assert isinstance(answer, Localization)
    return answer


def test_poses_are_as_exact_as_near_the_origin(far, mapped, engine, queries, offset):
    for query in queries[:4]:
        near = found(mapped.code, engine, query)
        there = found(far.code, engine, query)
        meters, degrees = pose_error(shifted(near.world_from_cam, offset), there.world_from_cam)
        assert (meters < 0.02, degrees < 0.5) == (True, True)


def test_points_lie_where_the_image_shows_them(far, engine, queries):
    query = queries[2]
    answer = found(far.code, engine, query)
    assert answer.points3d.dtype == np.float64
    points_cam = transform_points(inverse(answer.world_from_cam), answer.points3d)
    errors = np.linalg.norm(query.camera.project(points_cam) - answer.points2d, axis=1)
    assert np.median(errors[answer.inliers]) < 3.0


def test_a_prior_is_in_the_frame_of_the_poses(far, engine, queries, offset):
    (query,) = moved(queries[2:3], offset)
    answer = found(far.code, engine, query, query.world_from_cam)
    assert pose_error(answer.world_from_cam, query.world_from_cam)[0] < 0.15


def test_keyframes_keep_every_digit(far, views, offset):
    mapped_poses = world_keyframes(far.code)
    given = np.stack([frame.world_from_cam for frame in moved(views, offset)])
    nearest = [np.abs(given - pose).max(axis=(1, 2)).min() for pose in mapped_poses]
    assert max(nearest) < 2e-9


def test_the_map_judges_itself_as_near_the_origin(far, mapped):
    assert far.code.info.quality.rating == mapped.code.info.quality.rating
    assert far.code.info.quality.localized == mapped.code.info.quality.localized


class TestLocalFrames:
    def test_near_the_origin_nothing_changes(self, views):
        frames, origin = local_frames(views)
        assert origin == (0.0, 0.0, 0.0)
        for before, after in zip(views, frames, strict=True):
            np.testing.assert_array_equal(before.world_from_cam, after.world_from_cam)

    def test_frames_that_lost_their_pose_do_not_matter(self, views):
        far = moved(views, UTM)
        far[0] = replace(far[0], world_from_cam=None)
        far[1] = replace(far[1], world_from_cam=np.full((4, 4), np.nan))
        far[2] = replace(far[2], world_from_cam=np.eye(4))
        frames, origin = local_frames(far)
        assert origin == (448300.0, 5411900.0, 200.0)
        assert frames[0].world_from_cam is None
        assert np.abs(frames[5].world_from_cam).max() < 60.0


@pytest.mark.parametrize('place', ['utm', 'ecef'])
def test_a_recording_far_away(shared, tmp_path, place):
    folder = shared / 'cases' / 'poses_far_from_origin' / place
    if not folder.is_dir():
        pytest.skip('the input poses_far_from_origin (../shared/cases) is not on this machine')
    path = tmp_path / 'map.aceg'
    # Poses as given: what is asked is how exactly each frame holds them.
    command = ['map', folder, '-o', path, '--budget', '6', '--device', 'cpu']
    command += ['--set', 'mapping.adjustment.enabled=false']
    assert main([str(part) for part in command]) == 0
    code = read_map(path)
    assert code.info.quality.rating == 'good'
    evaluation = evaluate(Localizer(code, Engine.load('cpu')), open_dataset(folder).frames)
    assert evaluation.summary()['localized'] == 12
    assert evaluation.summary()['median_cm'] < 0.6
