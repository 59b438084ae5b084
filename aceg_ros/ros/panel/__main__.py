"""`python -m aceg_ros.ros.panel`, and the command `aceg_panel`, run the node."""

from __future__ import annotations

from typing import NoReturn

from aceg_ros.interrupts import ending_quietly


def main() -> NoReturn:
    """Run the node, and end the process with it."""
    with ending_quietly(0):
        from aceg_ros.ros.panel.node import main as run
    run()


if __name__ == '__main__':
    main()
