"""The executable `aceg_demo`, for launch files: `aceg demo --attach`, with ROS arguments."""

from __future__ import annotations

import signal
import sys

from aceg_ros.interrupts import ending_quietly


def main() -> int:
    """Run the demo; the exit status is 0 when it succeeded."""
    with ending_quietly(130, 'aceg: stopped'):
        from rclpy.utilities import remove_ros_args

        from aceg_ros.cli.main import main as run
    status = run(['demo', '--attach', *remove_ros_args(sys.argv)[1:]])
    # The launch file's comes beside the terminal's, and the interpreter takes a while to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return status


if __name__ == '__main__':
    sys.exit(main())
