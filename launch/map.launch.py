"""Records a place and maps it: `ros2 launch aceg_ros map.launch.py map:=kitchen.aceg`."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

# Arguments that set a parameter. One that is left empty leaves the value in params_file.
TEXTS = {
    'map': 'File that maps are saved as.',
    'recording': 'Folder of the recording, which is continued if there is one.',
    'pose_source': 'Where poses come from: tf or topic.',
    'pose_frame': 'Frame whose pose the topic of poses has.',
    'map_frame': 'Frame in which TF gives the poses.',
    'device': 'Where the fit runs: auto, cpu, cuda or cuda:N.',
    'encoder': 'Image encoder of the map, by name or by its folder.',
    'image_qos': 'Reliability of images: auto, sensor_data (best effort) or reliable.',
    'camera_frame': "The camera's optical frame, where images name a wrong one.",
}
SWITCHES = {
    'use_sim_time': 'Take the time from /clock, as for bags and simulations.',
    'compressed': 'Take compressed images, from <image>/compressed.',
    'rectified': 'Images are rectified already.',
}
# Those that the panel has too.
OF_PANEL = ('compressed', 'image_qos')
# Of the node, in the file of rviz under the node's usual name.
SHOWN = ('debug_image', 'keyframes', 'scene_points')
# A namespace keeps its transforms to itself, as in Nav2.
TF = [('/tf', 'tf'), ('/tf_static', 'tf_static')]


def generate_launch_description() -> LaunchDescription:
    """Start the mapper, rviz with `rviz:=true`, and the panel with `panel:=true`."""
    config = PathJoinSubstitution([FindPackageShare('aceg_ros'), 'config'])
    empty = 'Empty: as params_file says.'
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value='', description=f'{what} {empty}')
                for name, what in TEXTS.items()
            ),
            *(
                DeclareLaunchArgument(
                    name, default_value='', description=f'{what} True or false. {empty}'
                )
                for name, what in SWITCHES.items()
            ),
            DeclareLaunchArgument(
                'pose',
                default_value='',
                description='Topic of poses (PoseStamped, PoseWithCovarianceStamped or Odometry). '
                'Given, it sets pose_source to topic.',
            ),
            DeclareLaunchArgument(
                'depth',
                default_value='',
                description='Topic of depth images, registered or with camera_info beside. '
                'Given, it sets use_depth to true.',
            ),
            DeclareLaunchArgument(
                'image',
                default_value='image',
                description="Topic of the camera's images. "
                'Several cameras of a rig: [/front/image, /rear/image].',
            ),
            DeclareLaunchArgument(
                'camera_info',
                default_value='',
                description="Topic of the camera's calibration. "
                'Empty: camera_info beside the images.',
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value=PathJoinSubstitution([config, 'mapper.yaml']),
                description='Parameters of the node. Arguments that are given override them.',
            ),
            DeclareLaunchArgument(
                'name',
                default_value='aceg_mapper',
                description='Name of the node: another one for each camera of a robot.',
            ),
            DeclareLaunchArgument(
                'namespace',
                default_value='',
                description='Namespace of nodes, their topics and transforms: one for each robot.',
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
                'panel',
                default_value='false',
                description='Start the panel too, a web page at http://127.0.0.1:8420: true or '
                'false.',
            ),
            DeclareLaunchArgument(
                'rviz', default_value='false', description='Start rviz too: true or false.'
            ),
            DeclareLaunchArgument(
                'rviz_config',
                default_value=PathJoinSubstitution([config, 'aceg_mapping.rviz']),
                description='What rviz shows.',
            ),
            OpaqueFunction(function=launch_nodes),
        ]
    )


def launch_nodes(context: LaunchContext) -> list[Node]:
    """Nodes for the arguments given."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    parameters = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for names, kind in ((TEXTS, str), (SWITCHES, bool))
        for name in names
        if given(name)
    }
    clock = [{'use_sim_time': parameters['use_sim_time']}] if given('use_sim_time') else []
    image = given('image')
    if image.startswith('['):
        if given('camera_info'):
            raise RuntimeError('camera_info is for a single camera; of several it is beside each')
        parameters['rig_images'] = ParameterValue(
            LaunchConfiguration('image'), value_type=list[str]
        )
        image = image.strip('[] ').split(',')[0].strip()  # that the panel shows
    beside_image = image[: image.rfind('/') + 1] + 'camera_info'
    remappings = [*TF, ('image', image), ('camera_info', given('camera_info') or beside_image)]
    if given('pose'):
        remappings.append(('pose', given('pose')))
        parameters['pose_source'] = 'topic'
    if given('depth'):
        parameters['use_depth'] = True
        if given('image').startswith('['):
            parameters['rig_depth'] = ParameterValue(
                LaunchConfiguration('depth'), value_type=list[str]
            )
        else:
            remappings.append(('depth', given('depth')))
    of_panel = {name: parameters[name] for name in OF_PANEL if name in parameters}
    of_panel['mapper'] = LaunchConfiguration('name')
    # rviz comes first: where it is not installed, nothing has been started yet.
    return [
        Node(
            package='rviz2',
            executable='rviz2',
            namespace=LaunchConfiguration('namespace'),  # the topics in its file are relative
            arguments=['--display-config', LaunchConfiguration('rviz_config')],
            parameters=clock,
            remappings=[
                *TF,
                *(
                    (f'aceg_mapper/{topic}', [LaunchConfiguration('name'), f'/{topic}'])
                    for topic in SHOWN
                ),
            ],
            condition=IfCondition(LaunchConfiguration('rviz')),
            output='screen',
        ),
        Node(
            package='aceg_ros',
            executable='aceg_mapper',
            name=LaunchConfiguration('name'),
            namespace=LaunchConfiguration('namespace'),
            parameters=[LaunchConfiguration('params_file'), parameters],
            remappings=remappings,
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            respawn=LaunchConfiguration('respawn'),
            respawn_delay=2.0,
            output='screen',
        ),
        Node(
            package='aceg_ros',
            executable='aceg_panel',
            name='aceg_panel',
            namespace=LaunchConfiguration('namespace'),
            parameters=[LaunchConfiguration('params_file'), of_panel],
            remappings=remappings,
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            condition=IfCondition(LaunchConfiguration('panel')),
            output='screen',
        ),
    ]
