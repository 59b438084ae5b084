"""Runs a node that ends with its parent: `python -m aceg_ros.demo.tethered mapper --ros-args ...`.

Standard input is a pipe whose other end the parent holds. It closes when the parent ends, in
whichever way; after `kill -9` as well.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from importlib import import_module
from threading import Thread

from aceg_ros.ros.spin import FAILED

_GRACE = 5.0  # s for the node to end by itself


def main() -> int:
    """Run the node named by the first argument, `mapper` or `localizer`; its exit status."""
    node = import_module(f'aceg_ros.ros.{sys.argv.pop(1)}.node')
    # ROS from wheels starts the interpreter again when it is imported, so the thread comes after.
    Thread(target=_end_with_input, name='tether', daemon=True).start()
    status: int = node.main()
    return status


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(FAILED)


if __name__ == '__main__':
    sys.exit(main())
