"""The thread that works on images."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, Protocol, TypeVar

from rclpy.impl.rcutils_logger import RcutilsLogger

T = TypeVar('T')
T_co = TypeVar('T_co', covariant=True)

# Seconds after which a worker that has nothing to do looks whether it shall stop.
_LOOK_UP = 0.5
# Seconds after which work on one image hangs. The slowest machine that was tried took 11.
_HANGS = 60.0
_RESTARTS = 1


class Source(Protocol[T_co]):
    """Where images come from."""

    def take(self, timeout: float) -> T_co | None:
        """The newest, once it is there; None when none came, or when `wake` was called."""

    def wake(self) -> None:
        """Have `take` give None at once."""


class Worker(Generic[T]):
    """Takes the newest image whenever it is done with the last one.

    Whatever one image brings about, the next one gets its turn. A thread that dies all the same is
    started once more; after that only a restart of the node helps, and `problem` says so.
    """

    def __init__(
        self,
        camera: Source[T],
        work: Callable[[T], None],
        min_interval: Callable[[], float],
        logger: RcutilsLogger,
        name: str,
    ) -> None:
        """``min_interval``: least seconds between the starts of two pieces of work.

        ``name`` is the thread's.
        """
        self.ended = False  # whether the thread died, and is not started again
        self._given_up = ''  # why the last image was; empty when it was not
        self._began: float | None = None  # when work on an image did; None while there is none
        self._camera = camera
        self._work = work
        self._min_interval = min_interval
        self._logger = logger
        self._name = name
        self._restarts = 0
        self._stopping = Event()
        self._thread = self._start()

    @property
    def problem(self) -> str:
        """Why images are given up, or none gets its turn; empty when all is well."""
        seconds = self._seconds
        if seconds < _HANGS:
            return self._given_up
        return f'one image has been worked on for {seconds:.0f} s; restart the node'

    @property
    def stuck(self) -> bool:
        """Whether no image gets its turn any more: the thread ended, or hangs."""
        return self.ended or self._seconds >= _HANGS

    def stop(self, patience: float) -> None:
        """Have the thread end, and wait for that up to ``patience`` seconds."""
        self._stopping.set()
        self._camera.wake()
        self._thread.join(patience)

    @property
    def _seconds(self) -> float:
        """For how long the image at hand has been worked on."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def _start(self) -> Thread:
        thread = Thread(target=self._run, name=self._name, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._take()
        except BaseException as error:
            self._died(error)

    def _take(self) -> None:
        image = self._camera.take(_LOOK_UP)
        if image is None:
            return
        self._began = began = time.monotonic()
        try:
            self._work(image)
            self._given_up = ''
        except Exception as error:
            self._given_up = f'an image was given up: {type(error).__name__}: {error}'
            self._logger.error(
                f'an image was given up:\n{traceback.format_exc()}', throttle_duration_sec=5.0
            )
        finally:
            self._began = None
        self._stopping.wait(self._min_interval() - (time.monotonic() - began))

    def _died(self, error: BaseException) -> None:
        what = f'the thread {self._name!r} ended: {type(error).__name__}: {error}'
        if self._stopping.is_set():
            return
        if self._restarts < _RESTARTS:
            self._restarts += 1
            self._logger.error(f'{what}; it is started once more\n{traceback.format_exc()}')
            self._thread = self._start()
            return
        self._given_up, self.ended = f'{what}; restart the node', True
        self._logger.fatal(f'{self._given_up}\n{traceback.format_exc()}')
