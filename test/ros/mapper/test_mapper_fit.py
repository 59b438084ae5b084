"""Fits through the services: progress, the map, and whatever can go wrong."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from harness import wait_until
from nav_msgs.srv import LoadMap
from processes import gone

from aceg_ros.datasets import RecordingWriter
from aceg_ros.maps.file import read_map
from aceg_ros.ros.status_values import values_of

VIEWS = 14
BUDGET = 4.0  # s


@pytest.fixture(scope='module')
def shared_mapper(start_mapper):
    """A mapper whose fits take seconds, and to which every view is new."""
    return start_mapper(budget=BUDGET, tokens=256, keyframe_translation=0.0)


@pytest.fixture
def filled(mapper, views, tmp_path) -> Path:
    """A recording that can be mapped, open in the mapper."""
    folder = tmp_path / 'filled'
    writer = RecordingWriter(folder, views[0].camera, image_suffix='.jpg')
    for index, frame in enumerate(views[:VIEWS]):
        writer.add(frame.image(), frame.world_from_cam, float(index))
    assert mapper.set(recording=str(folder))[0]
    return folder


@pytest.fixture(scope='module')
def localizer(ros) -> list[str]:
    """A service to load maps, and the maps it was told to load; it refuses those called bad."""
    told: list[str] = []

    def load(request: LoadMap.Request, response: LoadMap.Response) -> LoadMap.Response:
        told.append(request.map_url)
        response.result = LoadMap.Response.RESULT_SUCCESS
        if 'bad' in request.map_url:
            response.result = LoadMap.Response.RESULT_INVALID_MAP_DATA
        return response

    ros.node.create_service(LoadMap, '/aceg_localizer/load_map', load)
    return told


def fit_process(mapper) -> int:
    """Process id of the running fit."""
    children = Path(f'/proc/{mapper.process.pid}/task/{mapper.process.pid}/children')
    found: list[str] = []

    def running() -> bool:
        # Started by the executor's thread, not by the main one.
        tasks = children.parents[1]
        found[:] = [
            pid for task in tasks.iterdir() for pid in (task / 'children').read_text().split()
        ]
        return bool(found)

    wait_until(running, what='the fit process')
    return int(found[0])


def test_record_and_map(mapper, robot, t, views, localizer, tmp_path):
    """The whole way: record afresh, fit, save, have it loaded; the node answers all the while."""
    ok, _ = mapper.switch('record_and_map', True)
    assert ok
    for index, frame in enumerate(views[:VIEWS]):
        of_it = {'rgb': frame.image(), 'camera': frame.camera, 'frame': 'eye'}
        robot.stay(mapper.folder, t + index, frame.world_from_cam, **of_it)
    ok, words = mapper.switch('record_and_map', False)
    assert ok
    assert words.startswith('fitting')
    mapper.stage('encode')
    # Stopped, so that it cannot have ended before the node answers.
    pid = fit_process(mapper)
    os.kill(pid, signal.SIGSTOP)
    assert mapper.trigger('save') == (False, 'the fit is still running; save when it is done')
    os.kill(pid, signal.SIGCONT)
    end = values_of(mapper.finished())
    code = read_map(tmp_path / 'place.aceg')
    assert end['state'] == 'done'
    assert end['map'] == str(tmp_path / 'place.aceg')
    assert end['quality'] == code.info.quality.rating
    running = [values_of(m) for m in mapper.progress.messages]
    running = [m for m in running if m['state'] == 'running']
    assert {'encode', 'fit'} <= {m['stage'] for m in running}
    assert all(0.0 <= float(m['fraction']) <= 1.0 for m in running)
    assert all(0.0 <= float(m['remaining_s']) <= BUDGET for m in running)
    assert int(end['recorded']) == VIEWS
    assert 5 <= int(end['keyframes']) <= VIEWS
    assert any(m['detail'].startswith('loss') for m in running)
    wait_until(lambda: str(tmp_path / 'place.aceg') in localizer)
    mapper.process.wait_for_output('the localizer has loaded')
    # Seconds are too few for all passes of a fit.
    assert 'a budget of' in end['notes']
    mapper.process.wait_for_output('a budget of')


def test_killed_then_fitted_again_and_saved(mapper, filled, localizer, tmp_path):
    assert mapper.trigger('fit')[0]
    os.kill(fit_process(mapper), signal.SIGKILL)
    end = mapper.finished()
    assert values_of(end)['state'] == 'failed'
    assert 'killed by SIGKILL' in end.message
    assert 'recording is kept' in end.message
    assert mapper.trigger('save') == (False, 'there is no map to save; fit one first')

    # Saved, and refused by the localizer.
    mapper.progress.clear()
    mapper.set(map=str(tmp_path / 'bad.aceg'))
    mapper.switch('record', True)
    assert mapper.switch('record_and_map', False)[0]
    assert values_of(mapper.finished())['map'] == str(tmp_path / 'bad.aceg')
    mapper.process.wait_for_output('the localizer has not loaded')

    mapper.set(map=str(tmp_path / 'filled' / 'poses.txt' / 'place'))
    ok, words = mapper.trigger('save')
    assert not ok
    assert 'it is kept as' in words
    mapper.set(map=str(tmp_path / 'deep' / 'place'))
    ok, words = mapper.trigger('save')
    assert ok, words
    assert len(read_map(tmp_path / 'deep' / 'place.aceg').keyframes) >= 12
    mapper.progress.wait_for(lambda m: 'place.aceg' in values_of(m).get('map', ''))


def test_networks_are_chosen_by_parameters(mapper, filled):
    for name, reason in (('encoder', 'no-such-encoder'), ('regressor', 'no-such-regressor')):
        mapper.progress.clear()
        assert mapper.set(**{name: reason})[0]
        assert mapper.trigger('fit')[0]
        end = mapper.finished()
        assert mapper.set(**{name: ''})[0]
        assert values_of(end)['state'] == 'failed'
        assert reason in end.message


def test_what_cannot_be_done_meanwhile(mapper, filled):
    assert mapper.trigger('fit')[0]
    pid = fit_process(mapper)
    os.kill(pid, signal.SIGSTOP)
    for service, reason in (
        ('fit', 'running already'),
        ('save', 'still running'),
        ('reset', 'cancel it first'),
    ):
        ok, words = mapper.trigger(service)
        assert not ok
        assert reason in words
    ok, words = mapper.switch('record_and_map', True)
    assert not ok
    assert 'while a fit is running' in words
    accepted, reason = mapper.set(recording='/tmp/elsewhere')
    assert not accepted
    assert 'while a fit is running' in reason
    assert mapper.switch('record', True)[0]
    ok, words = mapper.switch('record_and_map', False)
    assert not ok
    assert 'a fit is running already' in words
    assert mapper.switch('record', False)[0]

    # A fit that hangs ends as well.
    ok, _ = mapper.trigger('cancel')
    assert ok
    assert values_of(mapper.finished())['state'] == 'cancelled'
    assert gone(pid)
    assert mapper.trigger('cancel') == (False, 'no fit is running')


def test_killed_and_ended_while_fitting(start_mapper, filled):
    """The fit ends as well, and a mapper started again can fit what is recorded."""
    for name, end in (('first', signal.SIGKILL), ('second', signal.SIGINT)):
        mapper = start_mapper(filled, name)
        mapper.process.wait_for_output(f'has {VIEWS} keyframes; it will be continued')
        assert mapper.trigger('fit')[0]
        pid = fit_process(mapper)
        mapper.stage('load')
        if end is signal.SIGKILL:
            mapper.process.kill()
        else:
            assert mapper.process.stop(end) == 0
        wait_until(lambda pid=pid: gone(pid))
