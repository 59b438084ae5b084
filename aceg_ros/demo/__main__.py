"""The executable `aceg_demo`, for launch files: `aceg demo --attach`, with ROS arguments."""

from __future__ import annotations

import sys

from aceg_ros.__main__ import main as aceg
from aceg_ros.interrupts import ending_quietly


def main() -> int:
    """Run the demo; the exit status is 0 when it succeeded."""
    with ending_quietly(130, 'aceg: stopped'):
        from rclpy.utilities import remove_ros_args
    return aceg(['demo', '--attach', *remove_ros_args(sys.argv)[1:]])


if __name__ == '__main__':
    sys.exit(main())
