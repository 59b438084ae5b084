"""Localizes a camera in a map: `ros2 launch aceg_ros localize.launch.py map:=kitchen.aceg`."""

from launch import LaunchDescription

from aceg_ros.ros.launching import Setting, describe


def generate_launch_description() -> LaunchDescription:
    """Start the localizer, and rviz with `rviz:=true`."""
    return describe(
        'aceg_localizer',
        params_file='localizer.yaml',
        settings=[
            Setting('map', str, 'Map to localize in: path, file:// or package:// URL.'),
            Setting(
                'autostart',
                bool,
                'Configure and activate the node; false leaves that to a lifecycle manager.',
            ),
        ],
    )
