"""The node's state for ~/status, and its reports on /diagnostics."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from aceg_ros.recording.recorder import Keyframe, Refusal
from aceg_ros.recording.session import Session
from aceg_ros.ros.camera_health import CameraHealth
from aceg_ros.ros.depth_input import DepthInput
from aceg_ros.ros.mapper.poses import PoseSource
from aceg_ros.ros.middleware.diagnostics import Level, Report

_RECENT = 5.0  # s that the trouble of one image counts
_LITTLE = 500_000_000  # bytes left on the disk that are worth a warning
STALE = 1.5  # s without a pose after which its source counts as stopped


def _free(path: Path) -> int:
    """Bytes left on the disk that holds a path, or would if it were made."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


class Counters:
    """Counts of images by outcome; filled by the worker, read by the executor."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[Refusal | str, int] = {}
        self._trouble = ''
        self._since = 0.0

    def count(self, outcome: Keyframe | Refusal) -> None:
        """An image was recorded or not, as it should be."""
        with self._lock:
            kind = outcome if isinstance(outcome, Refusal) else 'recorded'
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._trouble = ''

    def fail(self, words: str) -> None:
        """An image could not be used."""
        with self._lock:
            self._counts['unusable'] = self._counts.get('unusable', 0) + 1
            self._trouble, self._since = words, time.monotonic()

    @property
    def trouble(self) -> str:
        """Why images cannot be used at present; empty when they can."""
        with self._lock:
            recent = time.monotonic() - self._since < _RECENT
            return self._trouble if recent else ''

    @property
    def counts(self) -> dict[str, int]:
        """Number of images by outcome."""
        with self._lock:
            return {
                kind.value if isinstance(kind, Refusal) else kind: count
                for kind, count in self._counts.items()
            }


class Reports:
    """The node's state."""

    def __init__(
        self,
        session: Session,
        health: CameraHealth,
        poses: PoseSource,
        depth: DepthInput | None,
        counters: Counters,
        fit: Callable[[], Report],
        broken: Callable[[], str],
    ) -> None:
        """`fit`: how the fit goes, or went; `broken`: why images are given up, or ''."""
        self._depth = depth
        self._session = session
        self._health = health
        self._poses = poses
        self._counters = counters
        self.fit = fit
        self.localizers: Sequence[str] = ()  # that may send the poses; full names of nodes
        self._broken = broken

    @property
    def state(self) -> str:
        """One of idle, recording, fitting, recording_and_fitting."""
        doing = [
            name
            for name, so in (
                ('recording', self._session.recording),
                ('fitting', self._session.fitting),
            )
            if so
        ]
        return '_and_'.join(doing) or 'idle'

    @property
    def words(self) -> str:
        """Number of keyframes, progress of the fit, and problems."""
        recorder = self._session.recorder
        said = [f'{self._session.count} keyframes in {recorder.path}']
        if self._session.fitting:
            said.append(self.fit().message)
        if recorder.problem:
            said.append(f'recording stopped: {recorder.problem}')
        elif self._session.recording:
            said += [self._health.silence, self._trouble, self._poses.jumps.last, self.circle]
        return '; '.join(filter(None, said))

    @property
    def circle(self) -> str:
        """That poses may be those of a localizer, whose errors the map would have; else empty."""
        if not self.localizers:
            return ''
        return (
            f'poses may come from the localizer {", ".join(self.localizers)}, whose errors go into '
            'the map: end it, or set its tf_mode to none'
        )

    def camera(self) -> Report:
        """Whether usable images arrive."""
        return self._health.report()

    def poses(self) -> Report:
        """Whether poses arrive, as far as they are looked up."""
        source = self._poses
        values = {'source': source.name, 'frame': source.frame, 'jumps': source.jumps.count}
        if source.age is None:
            level = Level.STALE if self._session.recording else Level.OK
            return Report(level, f'no pose from {source.name} yet', values)
        if self._session.recording and source.age > STALE:
            words = f'no pose from {source.name} for {source.age:.1f} s'
            return Report(Level.STALE, words, values)
        if self._session.recording and self.circle:
            return Report(Level.WARN, self.circle, values)
        if source.jumps.count:
            words = f'{source.jumps.last}; keyframes before and after may not fit together'
            return Report(Level.WARN, words, values)
        return Report(Level.OK, 'poses come', values)

    def recording(self) -> Report:
        """The recording on disk."""
        recorder = self._session.recorder
        values: dict[str, object] = {
            'folder': recorder.path,
            'keyframes': self._session.count,
            **self._counters.counts,
        }
        free = _free(recorder.path)
        values['free_mb'] = round(free / 1e6)
        problem = recorder.problem or self._broken()
        if problem:
            return Report(Level.ERROR, problem, values)
        if self._session.recording and self._trouble:
            return Report(Level.WARN, self._trouble, values)
        if self._session.recording and free < _LITTLE:
            words = f'the disk has {free / 1e6:.0f} MB left; recording stops when it is full'
            return Report(Level.WARN, words, values)
        return Report(Level.OK, self.state, values)

    @property
    def _trouble(self) -> str:
        """What is wrong with the last images; empty when nothing is."""
        without_depth = '' if self._depth is None else self._depth.problem
        return self._counters.trouble or without_depth
