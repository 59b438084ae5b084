"""Launches a file with arguments `name:=value`, as `ros2 launch` does."""

import sys

from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

file, *arguments = sys.argv[1:]
service = LaunchService()
service.include_launch_description(
    LaunchDescription(
        [
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(file),
                launch_arguments=[argument.split(':=', 1) for argument in arguments],
            )
        ]
    )
)
sys.exit(service.run())
