"""Records, maps and localizes, in rviz: `ros2 launch aceg_ros session.launch.py record:=60`."""

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

# What map.launch.py and localize.launch.py take under the same names; empty: as they have it.
PASSED_ON = {
    'map': 'File of the map. One that exists is localized in until there is a new one.',
    'recording': 'Folder of the recording.',
    'pose': 'Topic of poses. Empty: poses from TF.',
    'pose_frame': 'Frame whose pose the topic of poses has.',
    'depth': 'Topic of depth images, registered or with camera_info beside. They make points of '
    'the map, and refuse poses that they contradict.',
    'camera_info': "Topic of the camera's calibration. Empty: camera_info beside the images.",
    'map_frame': 'Frame of the map.',
    'odom_frame': 'Frame in which odometry gives the pose of the robot.',
    'base_frame': 'Frame of the robot.',
    'camera_frame': "The camera's optical frame, where images name a wrong one.",
    'compressed': 'Take compressed images: true or false.',
    'image_qos': 'Reliability of images: auto, sensor_data or reliable.',
    'rectified': 'Images are rectified already: true or false.',
    'device': 'Where networks run: auto, cpu, cuda or cuda:N.',
    'encoder': 'Image encoder, by name or by its folder.',
    'confidence': 'Probability of being right that a pose must have.',
    'namespace': 'Namespace of nodes, their topics and transforms.',
}


def generate_launch_description() -> LaunchDescription:
    """Start mapper, localizer, rviz and, if asked for, the panel; play a bag if one is given."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value='', description=what)
                for name, what in PASSED_ON.items()
            ),
            DeclareLaunchArgument(
                'image',
                default_value='image',
                description="Topic of the camera's images. "
                'Several cameras of a rig: [/front/image, /rear/image].',
            ),
            DeclareLaunchArgument(
                'record',
                default_value='0',
                description='Seconds to record for from the start, and then map. '
                '0: as the panel or ~/record_and_map of the mapper is asked to.',
            ),
            DeclareLaunchArgument(
                'bag',
                default_value='',
                description='Bag in the place of a camera: recorded while it plays, then mapped. '
                'It goes on in a loop, to localize in.',
            ),
            DeclareLaunchArgument(
                'localize_bag',
                default_value='',
                description='Bag that is localized in. Empty: the one that was mapped.',
            ),
            DeclareLaunchArgument(
                'tf_mode',
                default_value='',
                description='Transform of the localizer, as in localize.launch.py. '
                'Empty: none with poses from TF, whose source goes on, and auto otherwise.',
            ),
            DeclareLaunchArgument(
                'use_sim_time',
                default_value='',
                description='Take the time from /clock: true or false. Empty: true with a bag.',
            ),
            DeclareLaunchArgument(
                'panel',
                default_value='false',
                description='Start the panel too, a web page at http://127.0.0.1:8420 to record '
                'and map from: true or false.',
            ),
            DeclareLaunchArgument(
                'rviz', default_value='true', description='Start rviz too: true or false.'
            ),
            DeclareLaunchArgument(
                'rviz_config',
                default_value=PathJoinSubstitution(
                    [FindPackageShare('aceg_ros'), 'config', 'aceg_session.rviz']
                ),
                description='What rviz shows.',
            ),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list[Action]:
    """Nodes and steps for the arguments given."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    common = {'use_sim_time': given('use_sim_time') or ('true' if given('bag') else '')}
    tf_mode = given('tf_mode') or ('auto' if given('pose') else 'none')
    return [
        included('localize', common | {'tf_mode': tf_mode}),
        included('map', common | {'rviz': 'false'}),
        *steps(given('namespace'), float(given('record')), given('bag'), given('localize_bag')),
    ]


def included(name: str, arguments: dict[str, str]) -> GroupAction:
    """Another launch file, which sees the arguments of this one too, and keeps its own."""
    file = PathJoinSubstitution([FindPackageShare('aceg_ros'), 'launch', f'{name}.launch.py'])
    source = PythonLaunchDescriptionSource(file)
    return GroupAction([IncludeLaunchDescription(source, launch_arguments=arguments.items())])


def steps(namespace: str, seconds: float, bag: str, localize_bag: str) -> list[Action]:
    """Record, then map, then go on."""
    service = '/'.join(['', *filter(None, [namespace.strip('/')]), 'aceg_mapper/record_and_map'])

    def call(value: str) -> ExecuteProcess:
        command = ['ros2', 'service', 'call', service, 'std_srvs/srv/SetBool', f'{{data: {value}}}']
        return ExecuteProcess(cmd=command, output='screen')

    def play(path: str, *options: str) -> ExecuteProcess:
        # The delay lets the nodes hear of the bag's topics.
        command = ['ros2', 'bag', 'play', path, '--delay', '2', '--clock', *options]
        return ExecuteProcess(cmd=command, output='screen')

    def after(process: ExecuteProcess, *actions: Action) -> RegisterEventHandler:
        return RegisterEventHandler(OnProcessExit(target_action=process, on_exit=list(actions)))

    begin, end = call('true'), call('false')
    if localize_bag and not bag:
        raise RuntimeError('localize_bag needs a bag to map first: give bag:= too')
    if bag and seconds > 0:
        raise RuntimeError('a bag is recorded as a whole: leave out record:=, or bag:=')
    if bag:
        first = play(bag)
        again = play(localize_bag or bag, '--loop')
        return [after(begin, first), after(first, end), after(end, again), begin]
    if seconds > 0:
        return [after(begin, TimerAction(period=seconds, actions=[end])), begin]
    return []
