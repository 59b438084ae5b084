"""Ctrl-C while a program still imports what it needs, which takes a second or more."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ending_quietly(status: int, words: str = '') -> Iterator[None]:
    """Have SIGINT end the process with a status, and perhaps words, rather than a traceback.

    Only while nothing is begun that would have to be ended in good order.
    """

    def end(number: int, frame: FrameType | None) -> None:
        if words:
            os.write(sys.stderr.fileno(), f'{words}\n'.encode())
        os._exit(status)

    before = signal.getsignal(signal.SIGINT)
    # Shells start background jobs with SIGINT ignored.
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
