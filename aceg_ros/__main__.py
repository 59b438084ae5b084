"""`python -m aceg_ros`, and the command `aceg`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from aceg_ros.interrupts import ending_quietly


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    with ending_quietly(130, 'aceg: stopped'):
        from aceg_ros.cli.main import main as run
    status = run(arguments)
    # The launch file's comes beside the terminal's, and the interpreter takes a while to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return status


if __name__ == '__main__':
    sys.exit(main())
