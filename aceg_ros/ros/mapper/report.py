"""The node's state for ~/status, and its reports on /diagnostics."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from aceg_ros.recording.session import Session
from aceg_ros.ros.mapper.poses import PoseSource
from aceg_ros.ros.mapper.stream import CameraStream
from aceg_ros.ros.middleware.diagnostics import Diagnostics, Level, Report

_LITTLE = 500_000_000  # bytes left on the disk that are worth a warning
STALE = 1.5  # s without a pose after which its source counts as stopped


def _free(path: Path) -> int:
    """Bytes left on the disk that holds a path, or would if it were made."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


class Reports:
    """The node's state."""

    def __init__(
        self,
        session: Session,
        streams: Sequence[CameraStream],
        poses: PoseSource,
        fit: Callable[[], Report],
    ) -> None:
        """`fit`: how the fit goes, or went."""
        self._session = session
        self._streams = streams
        self._poses = poses
        self.fit = fit
        self.localizers: Sequence[str] = ()  # that may send the poses; full names of nodes

    def join(self, diagnostics: Diagnostics) -> None:
        """Have them published."""
        for stream in self._streams:
            name = f'camera {stream.name}' if stream.name else 'camera'
            diagnostics.add(name, partial(self.camera, stream))
        for name in ('poses', 'recording', 'fit'):
            diagnostics.add(name, getattr(self, name))

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
        recordings = self._session.recordings
        said = [f'{self._session.count} keyframes in {recordings.path}']
        if self._session.fitting:
            said.append(self.fit().message)
        if recordings.problem:
            said.append(f'recording stopped: {recordings.problem}')
        elif self._session.recording:
            said += [stream.health.silence for stream in self._streams]
            said += [self._trouble, self._poses.jumps.last, self.circle]
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

    def camera(self, stream: CameraStream) -> Report:
        """Whether usable images of a camera arrive."""
        return stream.health.report()

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
        recordings = self._session.recordings
        counts = sum((Counter(stream.counters.counts) for stream in self._streams), Counter())
        free = _free(recordings.path)
        values: dict[str, object] = {
            'folder': recordings.path,
            'keyframes': self._session.count,
            **counts,
            'free_mb': round(free / 1e6),
        }
        broken = [stream.broken for stream in self._streams]
        problem = recordings.problem or next(filter(None, broken), '')
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
        return '; '.join(filter(None, (stream.trouble for stream in self._streams)))
