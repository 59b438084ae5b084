"""Launch files, run by ROS's own launch where that is installed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aceg_ros.datasets import RecordingWriter

if TYPE_CHECKING:
    from processes import NodeProcess

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = str(ROOT / 'test' / 'helpers' / 'launch_file.py')
COMMON = {
    'camera_info',
    'compressed',
    'device',
    'image',
    'log_level',
    'namespace',
    'params_file',
    'respawn',
    'rviz',
    'rviz_config',
    'use_sim_time',
}
ARGUMENTS = {
    'localize': COMMON | {'map', 'autostart'},
    'map': COMMON | {'depth', 'map', 'map_frame', 'pose', 'pose_frame', 'pose_source', 'recording'},
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
    programs = [str(Path(sys.executable).parent), os.environ['PATH']]
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
    parameters.write_text(
        '/robot/aceg_localizer: {ros__parameters: {map_frame: hall, autostart: true}}'
    )
    launch(
        'localize',
        'namespace:=robot',
        'image:=/camera/image_raw',
        'autostart:=false',
        'compressed:=true',
        'device:=cpu',
        f'params_file:={parameters}',
    )
    node = '/robot/aceg_localizer'
    # The argument comes before the file.
    assert ros.state(node) == 'unconfigured'
    assert ros.change_state(node, 'configure')
    assert ros.change_state(node, 'activate')
    assert _values(ros, node, 'map_frame', 'compressed', 'device') == ['hall', True, 'cpu']
    assert _topics(ros, node) >= {'/camera/image_raw/compressed', '/camera/camera_info'}


def test_map(ros, launch, tmp_path):
    launch(
        'map',
        f'recording:={tmp_path / "recording"}',
        'pose:=/odometry',
        'depth:=/camera/depth',
        'camera_info:=/calibration',
    )
    node = '/aceg_mapper'
    assert _values(ros, node, 'pose_source', 'use_depth', 'recording') == [
        'topic',
        True,
        str(tmp_path / 'recording'),
    ]
    assert _topics(ros, node) >= {'/image', '/calibration', '/camera/depth'}


def test_demo(ros, environment, views, tmp_path):
    writer = RecordingWriter(tmp_path / 'room', views[0].camera)
    for index, view in enumerate(views[:3]):
        writer.add(view.image(), view.world_from_cam, 100.05 + index)
    process = ros.start(
        LAUNCHER,
        str(ROOT / 'launch' / 'demo.launch.py'),
        f'dataset:={tmp_path / "room"}',
        f'output:={tmp_path / "output"}',
        'namespace:=robot',
        'device:=cpu',
        'rate:=5',
        environment=environment,
    )
    # All ends with the camera.
    process.wait(timeout=120.0)
    assert 'playing room: 3 frames at 5 Hz on /robot/image' in process.output
    assert 'keyframes are recorded, but a map needs at least 5' in process.output
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
