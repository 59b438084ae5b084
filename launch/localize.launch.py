"""Localizes a camera in a map: `ros2 launch aceg_ros localize.launch.py map:=kitchen.aceg`."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """Start the localizer, and rviz with `rviz:=true`."""
    config = PathJoinSubstitution([FindPackageShare('aceg_ros'), 'config'])
    return LaunchDescription(
        [
            # An argument that is left empty leaves the value in params_file.
            DeclareLaunchArgument(
                'map',
                default_value='',
                description='Map to localize in: path, file:// or package:// URL. '
                'Empty: as params_file says.',
            ),
            DeclareLaunchArgument(
                'autostart',
                default_value='',
                description='Configure and activate the node; false leaves that to a lifecycle '
                'manager. True, false, or empty: as params_file says.',
            ),
            DeclareLaunchArgument(
                'use_sim_time',
                default_value='',
                description='Take the time from /clock, as for bags and simulations. '
                'True, false, or empty: as params_file says.',
            ),
            DeclareLaunchArgument(
                'compressed',
                default_value='',
                description='Take compressed images, from <image>/compressed. '
                'True, false, or empty: as params_file says.',
            ),
            DeclareLaunchArgument(
                'device',
                default_value='',
                description='Where networks run: auto, cpu, cuda or cuda:N. '
                'Empty: as params_file says.',
            ),
            DeclareLaunchArgument(
                'image', default_value='image', description="Topic of the camera's images."
            ),
            DeclareLaunchArgument(
                'camera_info',
                default_value='',
                description="Topic of the camera's calibration. "
                'Empty: camera_info beside the images.',
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value=PathJoinSubstitution([config, 'localizer.yaml']),
                description='Parameters of the node. Arguments that are given override them.',
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of nodes and their topics.'
            ),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                choices=['debug', 'info', 'warn', 'error', 'fatal'],
                description='Least severity of what is logged.',
            ),
            DeclareLaunchArgument(
                'respawn',
                default_value='false',
                description='Start the node again if it ends: true or false.',
            ),
            DeclareLaunchArgument(
                'rviz', default_value='false', description='Start rviz too: true or false.'
            ),
            DeclareLaunchArgument(
                'rviz_config',
                default_value=PathJoinSubstitution([config, 'aceg.rviz']),
                description='What rviz shows.',
            ),
            OpaqueFunction(function=launch_nodes),
        ]
    )


def launch_nodes(context: LaunchContext) -> list[Node]:
    """Nodes for the arguments given."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    texts = [name for name in ('map', 'device') if given(name)]
    switches = [name for name in ('autostart', 'use_sim_time', 'compressed') if given(name)]
    parameters = {
        **{name: ParameterValue(LaunchConfiguration(name), value_type=str) for name in texts},
        **{name: ParameterValue(LaunchConfiguration(name), value_type=bool) for name in switches},
    }
    clock = [{'use_sim_time': parameters['use_sim_time']}] if given('use_sim_time') else []
    image = given('image')
    beside_image = image[: image.rfind('/') + 1] + 'camera_info'
    # rviz comes first: where it is not installed, nothing has been started yet.
    return [
        Node(
            package='rviz2',
            executable='rviz2',
            namespace=LaunchConfiguration('namespace'),  # the topics in its file are relative
            arguments=['--display-config', LaunchConfiguration('rviz_config')],
            parameters=clock,
            condition=IfCondition(LaunchConfiguration('rviz')),
            output='screen',
        ),
        Node(
            package='aceg_ros',
            executable='aceg_localizer',
            name='aceg_localizer',
            namespace=LaunchConfiguration('namespace'),
            parameters=[LaunchConfiguration('params_file'), parameters],
            remappings=[('image', image), ('camera_info', given('camera_info') or beside_image)],
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            respawn=LaunchConfiguration('respawn'),
            respawn_delay=2.0,
            output='screen',
        ),
    ]
