"""Fitting in a process of its own, so that whoever asks stays responsive and survives its death."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import IO, Any

from aceg_ros.mapping.options import MappingOptions
from aceg_ros.maps.code import MapQuality

_BEFORE_BUDGET = ('start', 'load')  # stages that the budget does not count
_KILL_AFTER = 3.0  # s that a cancelled fit has to end by itself
_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class FitJob:
    """What to fit, and where to put the map."""

    recording: Path
    output: Path  # a first map comes beside it, as `first_map`
    options: MappingOptions = field(default_factory=MappingOptions)
    device: str = 'auto'
    encoder: str = ''  # as in `engine.Networks`; empty for the usual one
    regressor: str = ''
    base: Path | None = None  # map that the keyframes join; None for a new one

    @property
    def first_map(self) -> Path:
        """Where the first map is put: a fit that does not end leaves `output` as it is."""
        return self.output.with_name(f'first_{self.output.name}')


class FitState(Enum):
    """Where a fit is."""

    RUNNING = 'running'
    DONE = 'done'
    CANCELLED = 'cancelled'
    FAILED = 'failed'


@dataclass(frozen=True)
class FitResult:
    """What a finished fit has made."""

    keyframes: int
    seconds: float
    map_bytes: int
    quality: MapQuality
    skipped: list[str]  # frames left out: 'name: reason'
    notes: list[str]  # what else there is to know
    device: str


@dataclass(frozen=True)
class FitReport:
    """How a fit goes, or how it ended."""

    state: FitState
    stage: str  # 'load', 'encode', ..., of the last progress
    fraction: float  # of the stage, 0 to 1
    detail: str  # such as the loss; the reason of a failure
    remaining: float  # s, estimated
    result: FitResult | None = None  # of a finished fit
    first_map: bool = False  # there is a map to drive with, while the fit goes on


class BackgroundFit:
    """One fit, from its start to its end."""

    def __init__(self, job: FitJob, listener: Callable[[FitReport], None]) -> None:
        """Start; `listener` is called from a thread, the last time with the fit's end.

        Raises OSError when no process can be started.
        """
        self.job = job
        self._listener = listener
        self._began = time.monotonic()
        self._stage_began = self._began
        self._cancelled = False
        self._last_words: deque[str] = deque(maxlen=3)
        self.report = FitReport(FitState.RUNNING, 'start', 0.0, '', job.options.budget)
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'aceg_ros.mapping.worker'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            text=True,
            encoding='utf-8',
            errors='replace',
            start_new_session=True,  # Ctrl-C is for the parent, which then ends the fit
        )
        description = {
            'recording': str(job.recording),
            'output': str(job.output),
            'first_map': str(job.first_map),
            'options': asdict(job.options),
            'device': job.device,
            'encoder': job.encoder,
            'regressor': job.regressor,
            'base': None if job.base is None else str(job.base),
        }
        self._tell(json.dumps(description))
        self._errors = threading.Thread(target=self._read_errors, daemon=True)
        self._events = threading.Thread(target=self._read_events, daemon=True)
        self._errors.start()
        self._events.start()

    @property
    def pid(self) -> int:
        """Process id of the fit."""
        return self._process.pid

    def cancel(self) -> None:
        """Ask the fit to end; it is killed when it does not within some seconds."""
        self._cancelled = True
        self._tell('cancel')
        timer = threading.Timer(_KILL_AFTER, self._process.kill)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """End the fit at once."""
        self._cancelled = True
        self._process.kill()
        self._events.join(timeout=1.0)

    def _tell(self, line: str) -> None:
        # A process that is gone is noticed by the reader.
        with contextlib.suppress(OSError, ValueError):
            stdin = _pipe(self._process.stdin)
            stdin.write(line + '\n')
            stdin.flush()

    def _read_errors(self) -> None:
        for line in _pipe(self._process.stderr):
            self._last_words.append(line.strip())
            sys.stderr.write(line)

    def _read_events(self) -> None:
        end: FitReport | None = None
        for line in _pipe(self._process.stdout):
            try:
                event = json.loads(line)
            except ValueError:
                continue  # the last words of a process that was killed
            if event['event'] == 'progress':
                self._publish(self._progress(event))
            elif event['event'] == 'first map':
                self._publish(replace(self.report, first_map=True))
            else:
                end = self._end(event)
        status = self._process.wait()
        self._errors.join(timeout=1.0)
        self._publish(end or self._lost(status))

    def _publish(self, report: FitReport) -> None:
        self.report = report
        self._listener(report)

    def _progress(self, event: dict[str, Any]) -> FitReport:
        stage, fraction = str(event['stage']), float(event['fraction'])
        now = time.monotonic()
        if stage != self.report.stage:
            self._stage_began = now
            if self.report.stage in _BEFORE_BUDGET:
                self._began = now
        budget_left = max(self.job.options.budget - (now - self._began), 0.0)
        spent = now - self._stage_began
        if stage == 'fit' and fraction > 0.05:
            # It mostly ends long before its time is over.
            remaining = min(spent * (1.0 - fraction) / fraction, budget_left)
        else:
            remaining = budget_left
        return FitReport(FitState.RUNNING, stage, fraction, str(event['detail']), remaining)

    def _end(self, event: dict[str, Any]) -> FitReport:
        state = FitState(event.pop('event'))
        if state is FitState.DONE:
            quality = MapQuality.from_dict(event.pop('quality'))
            result = FitResult(quality=quality, **event)
            return FitReport(state, self.report.stage, 1.0, '', 0.0, result)
        return FitReport(state, self.report.stage, self.report.fraction, event['message'], 0.0)

    def _lost(self, status: int) -> FitReport:
        """The end of a process that did not say how it ended."""
        if self._cancelled:
            return FitReport(
                FitState.CANCELLED, self.report.stage, 0.0, 'the fit was cancelled', 0.0
            )
        if status < 0:
            how = f'was killed by {_signal_name(-status)}'
            if -status == signal.SIGKILL:
                how += ', perhaps because memory ran out'
        else:
            how = f'ended with status {status}'
        words = f' ({"; ".join(self._last_words)})' if self._last_words else ''
        detail = f'the fit process {how}{words}; the recording is kept: fit again'
        return FitReport(FitState.FAILED, self.report.stage, self.report.fraction, detail, 0.0)


def _environment() -> dict[str, str]:
    """The parent's, in which the child finds this package wherever it was started."""
    paths = [str(_PACKAGE_PARENT), os.environ.get('PYTHONPATH', '')]
    return os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, paths))}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'signal {number}'


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise ValueError('the process was started without this pipe')
    return stream
