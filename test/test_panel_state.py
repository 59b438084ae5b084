"""What the page is sent of what the nodes said."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from aceg_ros.geometry.poses import make_pose
from aceg_ros.ros.panel.state import (
    MAP,
    RECORDING,
    HeardOfLocalizer,
    HeardOfMapper,
    Presence,
    localizer_state,
    mapper_state,
    shown_scene,
)
from aceg_ros.ros.panel.topview import Ground, Scene

HERE = Presence('', {'map': '/maps/kitchen.aceg'})
GONE = Presence('/aceg_mapper is not running; start it: ros2 launch ...')
GROUND = Ground(np.eye(3), np.array([1.0, 0.0, 0.0]))
PLACE = Scene(np.eye(4)[None], np.zeros((1, 3)), np.zeros((1, 3), np.uint8))


@dataclass(frozen=True)
class Fit:
    """As FitValues, whose module needs ROS."""

    state: str = 'running'
    fraction: float = 0.25


@pytest.fixture
def localized() -> HeardOfLocalizer:
    covariance = np.diag([1e-4, 4e-4, 1e-4, 1e-4, 1e-4, 1e-4])
    pose = make_pose(np.eye(3), [3.0, 2.0, 0.5])
    return HeardOfLocalizer('localized: 200 inliers: fine', pose=(pose, covariance))


def test_state_and_words_are_told_apart():
    heard = HeardOfMapper('recording: 3 keyframes in /a: b', Fit(), 'fit 25 %', PLACE)
    told = mapper_state(heard, HERE)
    assert (told['state'], told['words']) == ('recording', '3 keyframes in /a: b')
    assert told['keyframes'] == 1
    assert told['map'] == '/maps/kitchen.aceg'
    json.dumps(told)


def test_a_fit_that_ended_with_its_mapper_is_not_shown_as_running():
    heard = HeardOfMapper('recording_and_fitting: ...', Fit(), 'fit 25 %')
    assert mapper_state(heard, HERE)['fit'] == {
        'state': 'running',
        'fraction': 0.25,
        'message': 'fit 25 %',
    }
    heard.status = 'idle: 3 keyframes'
    assert mapper_state(heard, HERE)['fit'] is None
    heard.fit = Fit('done')
    assert mapper_state(heard, HERE)['fit']['state'] == 'done'


def test_of_a_node_that_is_missing_only_the_remedy_is_told(localized):
    gone = {'there': False, 'state': '', 'words': GONE.missing}
    assert mapper_state(HeardOfMapper('recording: ...'), GONE) == gone
    assert localizer_state(localized, GONE, GROUND) == gone


def test_a_pose_is_told_and_drawn(localized):
    pose = localizer_state(localized, HERE, GROUND)['pose']
    assert pose['position'] == [3.0, 2.0, 0.5]
    assert pose['sigma'] == pytest.approx(0.02)
    assert pose['sigma_deg'] == pytest.approx(np.degrees(0.01), abs=1e-3)
    assert pose['drawn'] == [2.0, 2.0, 1.0, 0.0]
    assert localizer_state(localized, HERE, None)['pose']['drawn'] is None
    json.dumps(pose)


@pytest.mark.parametrize('state', ['lost', 'searching', 'waiting_for_images'])
def test_a_pose_that_holds_no_longer_is_not_shown(localized, state):
    assert localizer_state(replace(localized, status=f'{state}: ...'), HERE, GROUND)['pose'] is None


def test_a_map_is_told_once_one_is_loaded():
    heard = HeardOfLocalizer('waiting_for_map: ...')
    assert localizer_state(heard, HERE, None)['maps'] == []
    heard.map = {'file': '/maps/kitchen.aceg', 'quality': 'good'}
    assert localizer_state(heard, HERE, None)['maps'] == [heard.map]


def test_all_maps_in_use_are_told():
    first, second = (
        {'file': f'/maps/{name}.aceg', 'quality': quality}
        for name, quality in (('floor.1', 'good'), ('attic', 'fair'))
    )
    values = {f'floor.1.{key}': value for key, value in first.items()}
    values |= {f'attic.{key}': value for key, value in second.items()}
    heard = HeardOfLocalizer('localized: ...', map=values)
    assert localizer_state(heard, HERE, None)['maps'] == [first, second]


@pytest.mark.parametrize(
    ('status', 'localizer', 'map_', 'shown'),
    [
        ('idle: ...', HERE, PLACE, MAP),
        ('recording: ...', HERE, PLACE, RECORDING),
        ('fitting: ...', HERE, PLACE, RECORDING),
        ('idle: ...', HERE, Scene(), RECORDING),
        ('idle: ...', GONE, PLACE, RECORDING),
    ],
)
def test_the_recording_is_drawn_while_it_is_worked_on(status, localizer, map_, shown):
    mapper = mapper_state(HeardOfMapper(status), HERE)
    assert shown_scene(mapper, localizer, map_) == shown


def test_the_map_is_drawn_where_no_mapper_runs():
    assert shown_scene(mapper_state(HeardOfMapper(), GONE), HERE, PLACE) == MAP
