"""Launch files, run by ROS's own launch where that is installed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import wait_until

from aceg_ros.datasets import RecordingWriter

if TYPE_CHECKING:
    from processes import NodeProcess

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ROOT / 'test' / 'helpers'
LAUNCHER = str(HELPERS / 'launch_file.py')
CAMERA = {
    'camera_frame',
    'camera_info',
    'compressed',
    'device',
    'encoder',
    'image',
    'image_qos',
    'map',
    'map_frame',
    'namespace',
    'rectified',
    'rviz',
    'use_sim_time',
}
COMMON = CAMERA | {'log_level', 'params_file', 'respawn', 'rviz_config'}
OF_LOCALIZER = {'base_frame', 'confidence', 'odom_frame', 'tf_mode'}
OF_MAPPER = {'depth', 'pose', 'pose_frame', 'recording'}
ARGUMENTS = {
    'localize': COMMON
    | OF_LOCALIZER
    | {'autostart', 'depth', 'map_frames', 'name', 'rig_file', 'rig_tolerance'},
    'map': COMMON | OF_MAPPER | {'name', 'panel', 'pose_source'},
    'session': CAMERA
    | OF_LOCALIZER
    | OF_MAPPER
    | {'bag', 'localize_bag', 'panel', 'record', 'rviz_config'},
    'demo': {
        'budget',
        'compressed',
        'dataset',
        'device',
        'log_level',
        'map_every',
        'map_split',
        'minutes',
        'namespace',
        'output',
        'query_every',
        'query_split',
        'rate',
        'rviz',
        'rviz_config',
        'seed',
    },
}

pytest.importorskip('launch_ros', reason='needs ROS 2 with launch_ros, for which there is no wheel')


@pytest.fixture(scope='module')
def environment(tmp_path_factory) -> dict[str, str]:
    """Variables with which ROS finds the package, as if it were installed."""
    prefix = tmp_path_factory.mktemp('prefix')
    for link, target in (
        ('share/ament_index/resource_index/packages/aceg_ros', 'resource/aceg_ros'),
        ('share/aceg_ros', ''),
        ('lib/aceg_ros', 'scripts'),
    ):
        (prefix / link).parent.mkdir(parents=True, exist_ok=True)
        (prefix / link).symlink_to(ROOT / target)
    paths = [str(prefix), os.environ.get('AMENT_PREFIX_PATH')]
    # The scripts run the first python3.
    commands = prefix / 'bin'
    commands.mkdir()
    command = commands / 'ros2'
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {HELPERS / "ros2_command.py"} "$@"\n')
    command.chmod(0o755)
    programs = [str(commands), str(Path(sys.executable).parent), os.environ['PATH']]
    return {
        'AMENT_PREFIX_PATH': os.pathsep.join(filter(None, paths)),
        'PATH': os.pathsep.join(programs),
    }


@pytest.fixture
def launch(ros, environment) -> Iterator[Callable[..., NodeProcess]]:
    """Launch a file with arguments; a signal ends the launch and its nodes in good order."""
    launched = []

    def launch(name: str, *arguments: str) -> NodeProcess:
        file = str(ROOT / 'launch' / f'{name}.launch.py')
        launched.append(ros.start(LAUNCHER, file, *arguments, environment=environment))
        return launched[-1]

    yield launch
    assert [process.stop(signal.SIGINT, within=10.0) for process in launched] == [0]


@pytest.mark.parametrize('name', ARGUMENTS)
def test_arguments_are_described(name):
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    file = str(ROOT / 'launch' / f'{name}.launch.py')
    arguments = get_launch_description_from_python_launch_file(file).get_launch_arguments()
    declared = {argument.name: argument for argument in arguments}
    assert set(declared) == ARGUMENTS[name]
    assert all('no description' not in argument.description for argument in declared.values())
    assert all(argument.default_value is not None for argument in declared.values())


def test_localize(ros, launch, tmp_path):
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text('/robot/front: {ros__parameters: {map_frame: hall, autostart: true}}')
    launch(
        'localize',
        'namespace:=robot',
        'image:=/camera/image_raw',
        'autostart:=false',
        'compressed:=true',
        'device:=cpu',
        'image_qos:=reliable',
        'confidence:=0.5',
        'base_frame:=chassis',
        'name:=front',
        'map:=[ground.aceg, first.aceg]',
        'map_frames:={name}',
        'depth:=/camera/depth',
        f'params_file:={parameters}',
    )
    node = '/robot/front'
    # The argument comes before the file.
    assert ros.state(node) == 'unconfigured'
    names = 'map', 'map_frame', 'map_frames', 'compressed', 'device', 'image_qos'
    maps = ['ground.aceg', 'first.aceg']
    assert _values(ros, node, *names) == [maps, 'hall', '{name}', True, 'cpu', 'reliable']
    assert _values(ros, node, 'min_confidence', 'base_frame') == [0.5, 'chassis']
    assert _values(ros, node, 'use_depth') == [True]
    (result,) = ros.set_parameters(node, map='')
    assert result.successful
    assert ros.change_state(node, 'configure')
    assert ros.change_state(node, 'activate')
    inputs = {'/camera/image_raw/compressed', '/camera/camera_info', '/camera/depth'}
    # A namespace keeps its transforms to itself.
    wait_until(lambda: _topics(ros, node) >= inputs | {'/robot/tf', '/robot/tf_static'})
    assert not _topics(ros, node) & {'/tf', '/tf_static'}


def test_localize_with_a_rig(ros, launch):
    launch(
        'localize',
        'namespace:=robot',
        'image:=[/front/image_raw, rear/image_raw]',
        'rig_tolerance:=0.05',
        'device:=cpu',
    )
    node = '/robot/aceg_localizer'
    topics = ['/front/image_raw', 'rear/image_raw']
    assert _values(ros, node, 'rig_images', 'rig_tolerance', 'rig_file') == [topics, 0.05, '']
    inputs = {'/front/image_raw', '/front/camera_info'}
    inputs |= {'/robot/rear/image_raw', '/robot/rear/camera_info'}
    wait_until(lambda: _topics(ros, node) >= inputs)


def test_map(ros, launch, tmp_path):
    launch(
        'map',
        f'recording:={tmp_path / "recording"}',
        'pose:=/odometry',
        'depth:=/camera/depth',
        'camera_info:=/calibration',
        'camera_frame:=eye',
        'rectified:=true',
        'name:=front_mapper',
    )
    node = '/front_mapper'
    names = 'pose_source', 'use_depth', 'recording', 'camera_frame', 'rectified'
    recording = str(tmp_path / 'recording')
    assert _values(ros, node, *names) == ['topic', True, recording, 'eye', True]
    assert _topics(ros, node) >= {'/image', '/calibration', '/camera/depth', '/tf', '/tf_static'}


def test_map_with_a_rig(ros, launch, tmp_path):
    topics = ['/front/image_raw', '/rear/image_raw']
    recording = tmp_path / 'recording'
    depths = ['/front/depth', '/rear/depth']
    launch(
        'map',
        f'image:=[{", ".join(topics)}]',
        f'depth:=[{", ".join(depths)}]',
        f'recording:={recording}',
    )
    assert _values(ros, '/aceg_mapper', 'rig_images', 'rig_depth') == [topics, depths]
    inputs = {*topics, *depths, '/front/camera_info', '/rear/camera_info'}
    wait_until(lambda: _topics(ros, '/aceg_mapper') >= inputs)


def test_session_of_a_camera(ros, launch, tmp_path):
    session = launch(
        'session',
        f'recording:={tmp_path / "recording"}',
        'pose:=/odometry',
        'record:=2',
        'image:=/camera/image_raw',
        'device:=cpu',
        'rviz:=false',
    )
    session.wait_for_output(f'answer: recording to {tmp_path / "recording"}')
    # Nobody showed it anything.
    session.wait_for_output('answer: 0 keyframes are recorded, but a map needs')
    for node in ('/aceg_mapper', '/aceg_localizer'):
        assert _values(ros, node, 'use_sim_time') == [False]
        wait_until(lambda node=node: '/camera/image_raw' in _topics(ros, node))
    assert _values(ros, '/aceg_localizer', 'tf_mode') == ['auto']


def test_session_of_a_bag(ros, launch, tmp_path):
    session = launch(
        'session',
        f'recording:={tmp_path / "recording"}',
        'namespace:=robot',
        'bag:=tour',
        'localize_bag:=other',
        'device:=cpu',
        'rviz:=false',
    )
    session.wait_for_output('playing other --delay 2 --clock --loop')
    words = ['answer: recording to', 'playing tour --delay 2 --clock', 'answer: 0 keyframes']
    places = [session.output.index(each) for each in [*words, 'playing other']]
    assert places == sorted(places)
    # The source of mapping poses goes on publishing map -> odom.
    assert _values(ros, '/robot/aceg_localizer', 'tf_mode', 'use_sim_time') == ['none', True]
    assert _values(ros, '/robot/aceg_mapper', 'pose_source', 'use_sim_time') == ['tf', True]


def test_demo(ros, environment, views, tmp_path):
    writer = RecordingWriter(tmp_path / 'room', views[0].camera)
    for index, view in enumerate(views[:3]):
        writer.add(view.image(), view.world_from_cam, 100.05 + index)
    # Stays open until somebody closes it.
    closed = tmp_path / 'closed'
    package = tmp_path / 'rviz2'
    (package / 'share' / 'ament_index' / 'resource_index' / 'packages').mkdir(parents=True)
    (package / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'rviz2').touch()
    program = package / 'lib' / 'rviz2' / 'rviz2'
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nuntil [ -e {closed} ]; do sleep 0.2; done\n')
    program.chmod(0o755)
    paths = os.pathsep.join([str(package), environment['AMENT_PREFIX_PATH']])
    process = ros.start(
        LAUNCHER,
        str(ROOT / 'launch' / 'demo.launch.py'),
        f'dataset:={tmp_path / "room"}',
        f'output:={tmp_path / "output"}',
        'namespace:=robot',
        'device:=cpu',
        'rate:=5',
        'rviz:=true',
        environment=environment | {'AMENT_PREFIX_PATH': paths},
    )
    over = 'The demo is over; close rviz'
    wait_until(lambda: over in process.output or not process.alive, timeout=120.0)
    assert process.alive
    assert 'playing room: 3 frames at 5 Hz on /robot/image' in process.output
    assert 'keyframes are recorded, but a map needs at least 5' in process.output
    closed.touch()
    process.wait()
    assert 'Traceback' not in process.output


def test_rviz_that_is_not_installed(ros, environment):
    file = str(ROOT / 'launch' / 'localize.launch.py')
    alone = {'AMENT_PREFIX_PATH': environment['AMENT_PREFIX_PATH'].split(os.pathsep)[0]}
    process = ros.start(LAUNCHER, file, 'rviz:=true', environment=environment | alone)
    assert process.wait() == 1
    assert "package 'rviz2' not found" in process.output
    assert 'process started' not in process.output


def _values(ros, node, *names):
    from rcl_interfaces.srv import GetParameters
    from rclpy.parameter import parameter_value_to_python

    request = GetParameters.Request(names=list(names))
    values = ros.call(GetParameters, f'{node}/get_parameters', request).values
    return [parameter_value_to_python(value) for value in values]


def _topics(ros, node):
    namespace, _, name = node.rpartition('/')
    subscribed = ros.node.get_subscriber_names_and_types_by_node(name, namespace or '/')
    return {topic for topic, _ in subscribed}
