"""Maps a place and finds a camera in it, by itself: `ros2 launch aceg_ros demo.launch.py`."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

# A namespace keeps its transforms to itself, as in Nav2.
TF = [('/tf', 'tf'), ('/tf_static', 'tf_static')]
CONFIG = PathJoinSubstitution([FindPackageShare('aceg_ros'), 'config'])
# Options of `aceg demo`; an argument that is left empty leaves the option out.
OPTIONS = {
    'dataset': 'Dataset with poses, to show instead of a procedural world.',
    'map_split': 'Split of the dataset that is recorded.',
    'map_every': 'Of it, every n-th frame is shown.',
    'query_split': 'Split of the dataset that is found.',
    'query_every': 'Of it, every n-th frame is shown.',
    'rate': 'Images per second.',
    'seed': 'Seed of the procedural world.',
}


def generate_launch_description() -> LaunchDescription:
    """Start mapper, localizer, a camera, and rviz with `rviz:=true`; all end with one of those."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value='', description=description)
                for name, description in OPTIONS.items()
            ),
            DeclareLaunchArgument(
                'minutes',
                default_value='1.0',
                description='Minutes that the second tour is gone to and fro. 0: once.',
            ),
            DeclareLaunchArgument(
                'output',
                default_value='demo_output',
                description='Folder of map, figures and report.',
            ),
            DeclareLaunchArgument(
                'budget', default_value='30.0', description='Seconds for the fit at most.'
            ),
            DeclareLaunchArgument(
                'compressed',
                default_value='true',
                description='Send images as JPEG: true or false.',
            ),
            DeclareLaunchArgument(
                'device',
                default_value='auto',
                description='Where networks run: auto, cpu, cuda or cuda:N.',
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
                'rviz', default_value='false', description='Start rviz too: true or false.'
            ),
            DeclareLaunchArgument(
                'rviz_config',
                default_value=PathJoinSubstitution([CONFIG, 'aceg_session.rviz']),
                description='What rviz shows.',
            ),
            OpaqueFunction(function=launch_nodes),
        ]
    )


def launch_nodes(context: LaunchContext) -> list[Node]:
    """Nodes for the arguments given."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    output = Path(given('output')).absolute()
    compressed = given('compressed').lower() == 'true'
    camera = {
        'device': given('device'),
        'compressed': compressed,
    }
    mapping = {
        'recording': str(output / 'recording'),
        'map': str(output / 'map.aceg'),
        'pose_source': 'topic',
        'budget': float(given('budget')),
    }
    options = [f'--output={output}', f'--device={given("device")}', f'--minutes={given("minutes")}']
    options.append('--compressed' if compressed else '--no-compressed')
    options += [f'--{name.replace("_", "-")}={given(name)}' for name in OPTIONS if given(name)]
    rviz = given('rviz').lower() == 'true'
    # Who looks at it may look on.
    over = LogInfo(msg='The demo is over; close rviz, or press Ctrl-C here.')
    # rviz comes first: where it is not installed, nothing has been started yet.
    return [
        Node(
            package='rviz2',
            executable='rviz2',
            namespace=LaunchConfiguration('namespace'),  # the topics in its file are relative
            arguments=['--display-config', LaunchConfiguration('rviz_config')],
            remappings=TF,
            condition=IfCondition(LaunchConfiguration('rviz')),
            output='screen',
            on_exit=Shutdown(reason='rviz was closed'),
        ),
        Node(
            package='aceg_ros',
            executable='aceg_mapper',
            name='aceg_mapper',
            namespace=LaunchConfiguration('namespace'),
            parameters=[PathJoinSubstitution([CONFIG, 'mapper.yaml']), camera, mapping],
            remappings=TF,
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            output='screen',
            on_exit=Shutdown(reason='aceg_mapper has ended'),
        ),
        Node(
            package='aceg_ros',
            executable='aceg_localizer',
            name='aceg_localizer',
            namespace=LaunchConfiguration('namespace'),
            parameters=[
                PathJoinSubstitution([CONFIG, 'localizer.yaml']),
                camera,
                {'tf_mode': 'map_to_camera'},  # the camera itself is what has a pose
            ],
            remappings=TF,
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            output='screen',
            on_exit=Shutdown(reason='aceg_localizer has ended'),
        ),
        Node(
            package='aceg_ros',
            executable='aceg_demo',
            name='aceg_demo',
            namespace=LaunchConfiguration('namespace'),
            arguments=options,
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            output='screen',
            on_exit=over if rviz else Shutdown(reason='aceg_demo has ended'),
        ),
    ]
