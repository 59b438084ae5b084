"""Records a place and maps it: `ros2 launch aceg_ros map.launch.py map:=kitchen.aceg`."""

from launch import LaunchDescription

from aceg_ros.ros.launching import Setting, Topic, describe


def generate_launch_description() -> LaunchDescription:
    """Start the mapper, and rviz with `rviz:=true`."""
    return describe(
        'aceg_mapper',
        params_file='mapper.yaml',
        settings=[
            Setting('map', str, 'File that maps are saved as.'),
            Setting(
                'recording', str, 'Folder of the recording, which is continued if there is one.'
            ),
            Setting('pose_source', str, 'Where poses come from: tf or topic.'),
            Setting('pose_frame', str, 'Frame whose pose the topic of poses has.'),
            Setting('map_frame', str, 'Frame in which TF gives the poses.'),
        ],
        topics=[
            Topic(
                'pose',
                'Topic of poses (PoseStamped, PoseWithCovarianceStamped or Odometry); given, '
                'poses come from it and not from TF.',
                implies={'pose_source': 'topic'},
            ),
            Topic(
                'depth',
                'Topic of depth images that are aligned with the images; given, they are used.',
                implies={'use_depth': True},
            ),
        ],
    )
