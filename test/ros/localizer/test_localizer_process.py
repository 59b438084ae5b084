"""The process as a whole: how it starts and how it ends, whatever is going on."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from harness import LATCHED, TIMEOUT
from nav_msgs.srv import LoadMap
from processes import wait_until
from rclpy.node import NodeNameNonExistentError
from robot import Localizer, Robot
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from aceg_ros.files import write_atomically
from aceg_ros.ros.status_values import LocalizationValues, read_values

# A stand-in for bondpy, which says what is asked of it.
BONDPY = """
class Bond:
    def __init__(self, node, topic, bond_id):
        self.id = bond_id
        self.pub, self.sub = self, None

    def set_heartbeat_period(self, seconds):
        pass

    set_heartbeat_timeout = wait_for_all_acked = set_heartbeat_period

    def start(self):
        print('bond', self.id, 'starts')

    def break_bond(self):
        print('bond', self.id, 'ends')

    def shutdown(self):
        pass
"""


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
    localizer.wait_for('waiting_for_map', 'not configured; configure and activate it')
    assert ros.change_state(localizer.name, 'configure')
    localizer.wait_for('waiting_for_images', 'not active; activate it')
    assert ros.change_state(localizer.name, 'activate')
    localizer.wait_for('waiting_for_images', 'no image')
    assert localizer.process.stop() == 0


@pytest.mark.parametrize('damaged', [False, True], ids=['missing', 'damaged'])
def test_tells_its_manager_that_the_map_cannot_be_loaded(ros, room_map, tmp_path, damaged):
    path = tmp_path / 'map.aceg'
    if damaged:
        path.write_bytes(room_map.read_bytes()[:5000])
    localizer = Localizer(ros, f'/map{damaged}', map=path, autostart=False)
    assert not ros.change_state(localizer.name, 'configure')
    assert ros.state(localizer.name) == 'unconfigured'
    reason = 'not an .aceg map' if damaged else f'no map at {path}'
    localizer.wait_for('waiting_for_map', reason)
    assert reason in localizer.process.output
    path.write_bytes(room_map.read_bytes())
    assert ros.change_state(localizer.name, 'configure')
    assert localizer.process.stop() == 0


def test_computes_with_the_threads_asked_for(ros, room_map):
    diagnostics = ros.collect(DiagnosticArray, '/diagnostics')
    localizer = Localizer(ros, '/threads', {'OMP_NUM_THREADS': '3'}, map=room_map, threads=2)

    def threads(message: DiagnosticArray) -> str:
        values = [pair for status in message.status for pair in status.values]
        return next((pair.value for pair in values if pair.key == 'threads'), '')

    localizer.wait_for('waiting_for_images')
    assert threads(diagnostics.wait_for(threads)) == '2'
    assert localizer.process.stop() == 0


def test_tells_its_manager_that_networks_are_missing(ros):
    localizer = Localizer(ros, '/networkless', regressor='no-such-regressor', autostart=False)
    assert not ros.change_state(localizer.name, 'configure')
    localizer.wait_for('waiting_for_map', 'no-such-regressor')
    assert localizer.process.stop() == 0


def test_ends_by_itself_where_it_can_never_start(ros, tmp_path):
    (tmp_path / 'map.aceg').write_bytes(b'nothing')
    localizer = Localizer(ros, '/hopeless', map=tmp_path / 'map.aceg')
    assert localizer.process.wait() == 1
    assert 'not an .aceg map' in localizer.process.output
    assert 'Traceback' not in localizer.process.output


def test_images_are_no_failures_while_it_waits_for_transforms(ros, queries, room_map):
    """Somebody sends some, so what the camera is mounted on may still show."""
    sender = ros.node.create_publisher(TFMessage, '/tf', 1)
    localizer = Localizer(ros, '/undecided', map=room_map)
    diagnostics = ros.collect(DiagnosticArray, '/diagnostics')
    robot = Robot(ros, queries)

    def report(message: DiagnosticArray) -> DiagnosticStatus | None:
        return next((s for s in message.status if s.name.endswith(': localization')), None)

    localizer.wait_for('waiting_for_images')
    with robot.standing(0):
        localizer.wait_for(
            'searching', 'waiting up to 3 s for TF to place base_link and the camera'
        )
        waiting = diagnostics.wait_for(
            lambda m: 'waiting up to' in getattr(report(m), 'message', '')
        )
        assert read_values(LocalizationValues, report(waiting)).failed == 0
        # In vain; the first image after that has a pose.
        localizer.poses.wait()
    assert 'map_to_camera: poses are those of camera' in localizer.process.output
    assert localizer.process.stop() == 0
    ros.node.destroy_publisher(sender)


def interface(ros, localizer) -> set[str]:
    """Topics and services of its own that a localizer has, by their last names."""
    name, namespace = 'aceg_localizer', localizer.name.rpartition('/')[0]
    found = set()
    for kind in ('publisher', 'subscriber', 'service'):
        ask = getattr(ros.node, f'get_{kind}_names_and_types_by_node')
        with suppress(NodeNameNonExistentError):  # it is not known here yet
            found |= {topic.rpartition('/')[2] for topic, _ in ask(name, namespace)}
    return found


def test_has_its_interface_while_it_is_configured(ros, room_map, tmp_path):
    configured = {
        'tf',
        'tf_static',
        'pose',
        'pose_with_covariance',
        'path',
        'scene_points',
        'debug_image',
        'map_points',
        'keyframes',
        'initialpose',
        'load_map',
        'enable',
        'relocalize',
    }
    active = configured | {'image', 'camera_info'}
    (tmp_path / 'bondpy').mkdir()
    (tmp_path / 'bondpy' / 'bondpy.py').write_text(BONDPY)
    path = os.pathsep.join([str(tmp_path), ros.environment['PYTHONPATH']])
    localizer = Localizer(ros, '/cycle', {'PYTHONPATH': path}, map=room_map, autostart=False)
    clouds = ros.collect(PointCloud2, f'{localizer.name}/map_points', LATCHED)

    def now_has(expected: set[str]) -> None:
        wait_until(
            lambda: interface(ros, localizer) & active == expected,
            timeout=10.0,
            what=f'{sorted(expected)} in place of {sorted(interface(ros, localizer) & active)}',
        )

    def bonds() -> tuple[int, int]:
        output = localizer.process.output
        return output.count('bond aceg_localizer starts'), output.count('bond aceg_localizer ends')

    assert ros.state(localizer.name) == 'unconfigured'
    for turn in range(2):
        clouds.clear()
        now_has(set())
        assert ros.change_state(localizer.name, 'configure')
        now_has(configured)
        assert not clouds.messages
        assert bonds() == (turn, turn)
        assert ros.change_state(localizer.name, 'activate')
        assert bonds() == (turn + 1, turn)
        now_has(active)
        clouds.wait_for(lambda cloud: cloud.width > 0)
        assert ros.change_state(localizer.name, 'deactivate')
        assert bonds() == (turn + 1, turn + 1)
        now_has(configured)
        assert ros.change_state(localizer.name, 'cleanup')
    assert ros.change_state(localizer.name, 'shutdown')
    now_has(set())
    localizer.wait_for('waiting_for_map', 'shut down; start it again')
    assert localizer.process.stop() == 0


def test_answers_those_who_wait_when_it_is_shut_down(ros, room_map):
    localizer = Localizer(ros, '/waited_for', map=room_map, relocalize_timeout=60.0)
    localizer.wait_for('waiting_for_images')
    waiting = ros.call_async(Trigger, f'{localizer.name}/relocalize')
    time.sleep(1.0)  # nothing says that the call has come
    assert ros.change_state(localizer.name, 'shutdown_active')
    wait_until(waiting.done, what='an answer')
    assert waiting.result().message == 'the node is shut down; start it again'
    wait_until(lambda: 'relocalize' not in interface(ros, localizer), what='the end of services')
    assert ros.state(localizer.name) == 'finalized'
    assert localizer.process.stop() == 0


def test_starts_without_a_map_that_can_be_used(ros, room_map, tmp_path):
    path = tmp_path / 'map.aceg'
    localizer = Localizer(ros, namespace='/mapless', map=path)
    # Both who reads the topic and who looks at the terminal learn what is waited for.
    localizer.wait_for('waiting_for_map', f'no map at {path}')
    localizer.process.wait_for_output(f'waiting_for_map: there is no map at {path}')
    path.write_bytes(room_map.read_bytes()[:5000])
    assert localizer.load(path) == LoadMap.Response.RESULT_INVALID_MAP_DATA
    localizer.wait_for('waiting_for_map', 'not an .aceg map')
    path.write_bytes(room_map.read_bytes())
    assert localizer.load(path) == LoadMap.Response.RESULT_SUCCESS
    localizer.wait_for('waiting_for_images')
    assert localizer.process.stop() == 0


def test_loads_a_map_that_is_made_later(ros, room_map, tmp_path):
    path = tmp_path / 'map.aceg'
    localizer = Localizer(ros, namespace='/early', map=path)
    localizer.wait_for('waiting_for_map', f'no map at {path}')
    write_atomically(path, room_map.read_bytes())
    localizer.wait_for('waiting_for_images')
    assert localizer.process.stop() == 0


def test_refuses_a_parameter_that_cannot_be(ros):
    localizer = Localizer(ros, namespace='/wrong', tf_rate=-5.0)
    assert localizer.process.wait() != 0
    assert 'tf_rate' in localizer.process.output
