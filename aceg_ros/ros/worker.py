"""The thread that works on images."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from threading import Event, Thread

from rclpy.impl.rcutils_logger import RcutilsLogger

from aceg_ros.ros.camera_input import CameraImage, CameraInput

# Seconds after which a worker that has nothing to do looks whether it shall stop.
_LOOK_UP = 0.5


class Worker:
    """Takes the newest image whenever it is done with the last one."""

    def __init__(
        self,
        camera: CameraInput,
        work: Callable[[CameraImage], None],
        min_interval: Callable[[], float],
        logger: RcutilsLogger,
        name: str,
    ) -> None:
        """``min_interval``: least seconds between the starts of two pieces of work.

        ``name`` is the thread's.
        """
        self._camera = camera
        self._work = work
        self._min_interval = min_interval
        self._logger = logger
        self._stopping = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Have the thread end, and wait for that up to ``patience`` seconds."""
        self._stopping.set()
        self._camera.wake()
        self._thread.join(patience)

    def _run(self) -> None:
        while not self._stopping.is_set():
            image = self._camera.take(_LOOK_UP)
            if image is None:
                continue
            began = time.monotonic()
            try:
                self._work(image)
            except Exception:
                # Whatever one image brought about, the next one gets its turn.
                self._logger.error(
                    f'an image was given up:\n{traceback.format_exc()}', throttle_duration_sec=5.0
                )
            self._stopping.wait(self._min_interval() - (time.monotonic() - began))
