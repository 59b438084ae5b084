"""What the launch files have in common: their arguments, and how these reach the node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'aceg_ros'
_RESPAWN_DELAY = 2.0  # s


@dataclass(frozen=True)
class Setting:
    """An argument that sets the parameter of its name; not given, it leaves the file's value."""

    name: str
    kind: type[bool] | type[str]
    description: str


@dataclass(frozen=True)
class Topic:
    """An argument that renames the input of its name; given, it `implies` values of parameters."""

    name: str
    description: str
    implies: Mapping[str, bool | str] = field(default_factory=dict)


_SETTINGS = (
    Setting('use_sim_time', bool, 'Take the time from /clock, as for bags and simulations.'),
    Setting('compressed', bool, 'Take compressed images, from <image>/compressed.'),
    Setting('device', str, 'Where networks run: auto, cpu, cuda or cuda:N.'),
)


def describe(
    executable: str,
    params_file: str,
    settings: Iterable[Setting],
    topics: Sequence[Topic] = (),
) -> LaunchDescription:
    """Launch a node, which is called like its executable, and rviz where that is wanted.

    `params_file` is the one of config/ that is used unless another is given. `settings` and
    `topics` are the node's own, besides camera and device.
    """
    settings = (*settings, *_SETTINGS)

    def start(context: LaunchContext) -> list[Node]:
        # Launch leaves behind what it had started when it then finds no rviz.
        sim_time = LaunchConfiguration('use_sim_time')
        parameters: dict[str, object] = {}
        if sim_time.perform(context):
            parameters = {'use_sim_time': ParameterValue(sim_time, value_type=bool)}
        return [rviz(parameters), _node(context, executable, settings, topics)]

    arguments = [
        *(_setting_argument(setting) for setting in settings),
        DeclareLaunchArgument(
            'image', default_value='image', description="Topic of the camera's images."
        ),
        DeclareLaunchArgument(
            'camera_info',
            default_value='',
            description="Topic of the camera's calibration; empty: camera_info beside the images.",
        ),
        *(
            DeclareLaunchArgument(topic.name, default_value='', description=topic.description)
            for topic in topics
        ),
        DeclareLaunchArgument(
            'params_file',
            default_value=config_file(params_file),
            description='Parameters of the node; arguments that are given come before them.',
        ),
        DeclareLaunchArgument(
            'respawn',
            default_value='false',
            description='Start the node again if it ends: true or false.',
        ),
    ]
    return LaunchDescription([*arguments, *common_arguments(), OpaqueFunction(function=start)])


def common_arguments() -> list[DeclareLaunchArgument]:
    """Arguments of every launch file: `namespace`, `log_level`, `rviz` and `rviz_config`."""
    return [
        DeclareLaunchArgument(
            'namespace', default_value='', description='Namespace of nodes, and of their topics.'
        ),
        DeclareLaunchArgument(
            'log_level',
            default_value='info',
            choices=['debug', 'info', 'warn', 'error', 'fatal'],
            description='Least severity of what is logged.',
        ),
        DeclareLaunchArgument(
            'rviz', default_value='false', description='Start rviz too: true or false.'
        ),
        DeclareLaunchArgument(
            'rviz_config',
            default_value=config_file('aceg.rviz'),
            description='What rviz shows.',
        ),
    ]


def config_file(file: str) -> PathJoinSubstitution:
    """A file of config/."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), 'config', file])


def _setting_argument(setting: Setting) -> DeclareLaunchArgument:
    # An argument left empty is one that was not given.
    values = 'True, false, or empty' if setting.kind is bool else 'Empty'
    return DeclareLaunchArgument(
        setting.name,
        default_value='',
        description=f'{setting.description} {values}: as params_file says.',
    )


def _node(
    context: LaunchContext,
    executable: str,
    settings: Iterable[Setting],
    topics: Sequence[Topic],
) -> Node:
    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    image = given('image')
    beside_image = ''.join(image.rpartition('/')[:2]) + 'camera_info'
    remappings = [('image', image), ('camera_info', given('camera_info') or beside_image)]
    parameters: dict[str, object] = {
        setting.name: ParameterValue(LaunchConfiguration(setting.name), value_type=setting.kind)
        for setting in settings
        if given(setting.name)
    }
    for topic in topics:
        if given(topic.name):
            remappings.append((topic.name, given(topic.name)))
            parameters |= topic.implies
    return Node(
        package=PACKAGE,
        executable=executable,
        name=executable,
        namespace=LaunchConfiguration('namespace'),
        parameters=[LaunchConfiguration('params_file'), parameters],
        remappings=remappings,
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        respawn=LaunchConfiguration('respawn'),
        respawn_delay=_RESPAWN_DELAY,
        output='screen',
    )


def rviz(parameters: Mapping[str, object] | None = None) -> Node:
    """Rviz, where that is wanted, as `common_arguments` say."""
    return Node(
        package='rviz2',
        executable='rviz2',
        # Its topics are relative.
        namespace=LaunchConfiguration('namespace'),
        arguments=['--display-config', LaunchConfiguration('rviz_config')],
        parameters=[parameters] if parameters else [],
        condition=IfCondition(LaunchConfiguration('rviz')),
        output='screen',
    )
