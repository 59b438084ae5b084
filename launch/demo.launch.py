"""Maps a place and finds a camera in it, by itself: `ros2 launch aceg_ros demo.launch.py`."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from aceg_ros.ros.launching import PACKAGE, common_arguments, config_file, rviz

# Arguments that are options of `aceg demo`, and left out where they are empty.
OPTIONS = {
    'dataset': 'Dataset with poses, to show instead of a procedural world.',
    'map_split': 'Split of the dataset that is recorded.',
    'map_every': 'Of it, every n-th frame is shown.',
    'query_split': 'Split of the dataset that is found.',
    'query_every': 'Of it, every n-th frame is shown.',
    'rate': 'Images per second.',
    'minutes': 'Minutes that the second tour is gone to and fro, instead of once.',
    'seed': 'Seed of the procedural world.',
}


def generate_launch_description() -> LaunchDescription:
    """Start mapper, localizer and a camera, and rviz with `rviz:=true`; all end with the camera."""
    arguments = [
        DeclareLaunchArgument(name, default_value='', description=description)
        for name, description in OPTIONS.items()
    ]
    arguments += [
        DeclareLaunchArgument(
            'output', default_value='demo_output', description='Folder of map, figures and report.'
        ),
        DeclareLaunchArgument(
            'budget', default_value='30.0', description='Seconds for the fit at most.'
        ),
        DeclareLaunchArgument(
            'compressed', default_value='true', description='Send images as JPEG: true or false.'
        ),
        DeclareLaunchArgument(
            'device',
            default_value='auto',
            description='Where networks run: auto, cpu, cuda or cuda:N.',
        ),
    ]
    return LaunchDescription([*arguments, *common_arguments(), OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[Node]:
    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    output, compressed = Path(given('output')).absolute(), given('compressed').lower() == 'true'
    parameters = {
        'device': given('device'),
        'compressed': compressed,
        # Large images get lost unless they are sent reliably.
        'image_qos': 'sensor_data' if compressed else 'reliable',
    }
    mapping = {
        'recording': str(output / 'recording'),
        'map': str(output / 'map.aceg'),
        'pose_source': 'topic',
        'budget': float(given('budget')),
    }
    options = [f'--output={output}', f'--device={given("device")}']
    options += ['--compressed' if compressed else '--no-compressed']
    options += [f'--{n.replace("_", "-")}={given(n)}' for n in OPTIONS if given(n)]

    def node(name: str, file: str = '', own: dict[str, object] | None = None, **more) -> Node:
        return Node(
            package=PACKAGE,
            executable=name,
            name=name,
            namespace=LaunchConfiguration('namespace'),
            parameters=[config_file(file), parameters | (own or {})] if file else [],
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            output='screen',
            on_exit=Shutdown(reason=f'{name} has ended'),
            **more,
        )

    return [
        rviz(),
        node('aceg_mapper', 'mapper.yaml', mapping),
        # The camera itself is what has a pose.
        node('aceg_localizer', 'localizer.yaml', {'tf_mode': 'map_to_camera'}),
        node('aceg_demo', arguments=options),
    ]
