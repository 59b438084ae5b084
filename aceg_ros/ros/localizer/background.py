"""Slow work in a thread of its own, beside the executor."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar('T')


class Background:
    """Does one piece of work after the other, in a thread that does not keep the process alive."""

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have ``work`` done; its result, or what it raised, comes with the future."""
        future: Future[T] = Future()

        def do() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                # The thread has to live on, and whoever waits has to learn it.
                future.set_exception(error)

        self._queue.put(do)
        return future

    def stop(self) -> None:
        """End after the work at hand."""
        self._queue.put(None)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
