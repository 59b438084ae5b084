"""Frames of a video file, by number, through OpenCV."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.errors import DatasetError, ImageError


class Video:
    """A video whose frames are read by number; may be used from several threads.

    Frames are counted, never sought by time: seeking is off by some frames in videos of phones,
    whose rate varies. So going back begins anew, and reading in order is quickest.
    """

    def __init__(self, path: Path) -> None:
        """Open it; raises DatasetError when it is damaged or of a codec that is not known."""
        self.path = path
        self._lock = threading.Lock()
        self._next = 0
        self._capture = self._open()
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if min(self.width, self.height, self.count) <= 0:
            raise DatasetError(f'{path}: is a video without frames; copy it again')

    def frame(self, index: int) -> NDArray[np.uint8]:
        """RGB (H, W, 3) uint8, as stored; raises ImageError when the video ends before it."""
        with self._lock:
            if index < self._next:
                self._capture.release()
                self._capture = self._open()
                self._next = 0
            while self._next <= index:
                if not self._capture.grab():
                    raise ImageError(
                        f'{self.path}: frame {index} cannot be decoded; the video is damaged after '
                        f'frame {self._next - 1}'
                    )
                self._next += 1
            decoded, image = self._capture.retrieve()
            if not decoded or image is None:
                raise ImageError(f'{self.path}: frame {index} cannot be decoded')
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise DatasetError(
                f'{self.path}: cannot be read as a video; is it whole? `ffmpeg -i IN.mp4 OUT.mp4` '
                'writes it in a codec that can be read'
            )
        # A calibration is for the pixels as stored.
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        return capture
