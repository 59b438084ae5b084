"""Localizes a camera in a map: `ros2 launch aceg_ros localize.launch.py map:=kitchen.aceg`."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

# Arguments that set a parameter. One that is left empty leaves the value in params_file.
TEXTS = {
    'map': 'Map, or a folder of maps: path, file:// or package:// URL. Several: [a.aceg, b.aceg].',
    'device': 'Where networks run: auto, cpu, cuda or cuda:N.',
    'encoder': 'Image encoder, by name or by its folder.',
    'image_qos': 'Reliability of images: auto, sensor_data (best effort) or reliable.',
    'camera_frame': "The camera's optical frame, where images name a wrong one.",
    'rig_file': 'Where each of several cameras is mounted, as for aceg map; else TF says so.',
    'map_frame': 'Frame that poses are given in.',
    'map_frames': 'Frame of each of several maps; {name} stands for the name of its file.',
    'odom_frame': 'Frame in which odometry gives the pose of the robot.',
    'base_frame': 'Frame of the robot.',
    'tf_mode': 'Transform to publish: auto, map_to_odom, map_to_base, map_to_camera or none.',
}
SWITCHES = {
    'autostart': 'Configure and activate the node; false leaves that to a lifecycle manager.',
    'use_sim_time': 'Take the time from /clock, as for bags and simulations.',
    'compressed': 'Take compressed images, from <image>/compressed.',
    'rectified': 'Images are rectified already.',
}
NUMBERS = {
    'confidence': 'Probability of being right that a pose must have: min_confidence.',
    'rig_tolerance': 'Seconds that images of several cameras may be apart to be of one time.',
}
# What is called otherwise as a parameter.
PARAMETERS = {'confidence': 'min_confidence'}
# Of the node, in the file of rviz under the node's usual name.
SHOWN = ('debug_image', 'keyframes', 'map_points', 'path', 'pose_with_covariance', 'scene_points')
# A namespace keeps its transforms to itself, as in Nav2.
TF = [('/tf', 'tf'), ('/tf_static', 'tf_static')]


def generate_launch_description() -> LaunchDescription:
    """Start the localizer, and rviz with `rviz:=true`."""
    config = PathJoinSubstitution([FindPackageShare('aceg_ros'), 'config'])
    empty = 'Empty: as params_file says.'
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value='', description=f'{what} {empty}')
                for name, what in (TEXTS | NUMBERS).items()
            ),
            *(
                DeclareLaunchArgument(
                    name, default_value='', description=f'{what} True or false. {empty}'
                )
                for name, what in SWITCHES.items()
            ),
            DeclareLaunchArgument(
                'image',
                default_value='image',
                description="Topic of the camera's images. "
                'Several cameras as one: [/front/image, /rear/image].',
            ),
            DeclareLaunchArgument(
                'camera_info',
                default_value='',
                description="Topic of the camera's calibration. "
                'Empty, and of several cameras: camera_info beside the images.',
            ),
            DeclareLaunchArgument(
                'depth',
                default_value='',
                description='Topic of depth images, registered or with camera_info beside. '
                'Given, it sets use_depth to true.',
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value=PathJoinSubstitution([config, 'localizer.yaml']),
                description='Parameters of the node. Arguments that are given override them.',
            ),
            DeclareLaunchArgument(
                'name',
                default_value='aceg_localizer',
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

    parameters = {
        PARAMETERS.get(name, name): ParameterValue(LaunchConfiguration(name), value_type=kind)
        for names, kind in ((TEXTS, str), (SWITCHES, bool), (NUMBERS, float))
        for name in names
        if given(name)
    }
    if given('map').startswith('['):
        parameters['map'] = ParameterValue(LaunchConfiguration('map'), value_type=list[str])
    clock = [{'use_sim_time': parameters['use_sim_time']}] if given('use_sim_time') else []
    image = given('image')
    if image.startswith('['):
        if given('camera_info'):
            raise RuntimeError('camera_info is for a single camera; of several it is beside each')
        parameters['rig_images'] = ParameterValue(
            LaunchConfiguration('image'), value_type=list[str]
        )
        inputs = []
    else:
        beside_image = image[: image.rfind('/') + 1] + 'camera_info'
        inputs = [('image', image), ('camera_info', given('camera_info') or beside_image)]
    if given('depth'):
        parameters['use_depth'] = True
        if image.startswith('['):
            parameters['rig_depth'] = ParameterValue(
                LaunchConfiguration('depth'), value_type=list[str]
            )
        else:
            inputs.append(('depth', given('depth')))
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
                    (f'aceg_localizer/{topic}', [LaunchConfiguration('name'), f'/{topic}'])
                    for topic in SHOWN
                ),
            ],
            condition=IfCondition(LaunchConfiguration('rviz')),
            output='screen',
        ),
        Node(
            package='aceg_ros',
            executable='aceg_localizer',
            name=LaunchConfiguration('name'),
            namespace=LaunchConfiguration('namespace'),
            parameters=[LaunchConfiguration('params_file'), parameters],
            remappings=[*TF, *inputs],
            ros_arguments=['--log-level', LaunchConfiguration('log_level')],
            respawn=LaunchConfiguration('respawn'),
            respawn_delay=2.0,
            output='screen',
        ),
    ]
