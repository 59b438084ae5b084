"""The executable `aceg_demo`, for launch files: `aceg demo --attach`, with ROS arguments."""

from __future__ import annotations

import sys

from rclpy.utilities import remove_ros_args

from aceg_ros.cli.main import main as aceg


def main() -> int:
    """Run the demo; the exit status is 0 when it succeeded."""
    return aceg(['demo', '--attach', *remove_ros_args(sys.argv)[1:]])


if __name__ == '__main__':
    sys.exit(main())
