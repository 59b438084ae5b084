"""The process as a whole: how it starts and how it ends, whatever is going on."""

from __future__ import annotations

import signal

from harness import TIMEOUT
from nav_msgs.srv import LoadMap
from robot import Localizer, Robot
from std_srvs.srv import Trigger


def test_ends_while_it_is_loading(ros, room_map):
    localizer = Localizer(ros, namespace='/loading', map=room_map)
    localizer.process.wait_for_output('networks and map are being loaded')
    assert localizer.process.stop() == 0


def test_ends_while_it_works_and_others_wait_for_it(ros, queries, room_map):
    localizer = Localizer(
        ros, '/working', map=room_map, image_qos='sensor_data', relocalize_timeout=60.0
    )
    robot = Robot(ros, queries)
    robot.wake(localizer)
    client = ros.node.create_client(Trigger, f'{localizer.name}/relocalize')
    assert client.wait_for_service(TIMEOUT)
    with robot.repeating(robot.blank, rate=20.0):
        waiting = client.call_async(Trigger.Request())
        localizer.wait_for('searching', 'look alike')
        robot.listeners = 0
        assert localizer.process.stop(signal.SIGTERM) == 0
    assert not waiting.done()
    assert 'Traceback' not in localizer.process.output


def test_waits_for_its_manager(ros, room_map):
    localizer = Localizer(ros, namespace='/managed', map=room_map, autostart=False)
    assert ros.state(localizer.name) == 'unconfigured'
    assert localizer.load(room_map) == LoadMap.Response.RESULT_UNDEFINED_FAILURE
    assert 'not active' in localizer.relocalize().message
    localizer.wait_for('waiting_for_map', 'not configured')
    assert ros.change_state(localizer.name, 'configure')
    assert ros.change_state(localizer.name, 'activate')
    localizer.wait_for('waiting_for_images', 'no image')
    assert localizer.process.stop() == 0


def test_starts_without_a_map_that_can_be_used(ros, room_map, tmp_path):
    path = tmp_path / 'map.aceg'
    localizer = Localizer(ros, namespace='/mapless', map=path)
    localizer.wait_for('waiting_for_map', f'no map at {path}')
    path.write_bytes(room_map.read_bytes()[:5000])
    assert localizer.load(path) == LoadMap.Response.RESULT_INVALID_MAP_DATA
    localizer.wait_for('waiting_for_map', 'not an .aceg map')
    path.write_bytes(room_map.read_bytes())
    assert localizer.load(path) == LoadMap.Response.RESULT_SUCCESS
    localizer.wait_for('waiting_for_images')
    assert localizer.process.stop() == 0


def test_refuses_a_parameter_that_cannot_be(ros):
    localizer = Localizer(ros, namespace='/wrong', tf_rate=-5.0)
    assert localizer.process.wait() != 0
    assert 'tf_rate' in localizer.process.output
