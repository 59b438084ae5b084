"""From recording to a saved map: what can be asked for when, and what follows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aceg_ros.errors import AcegError, StorageError
from aceg_ros.files import write_atomically
from aceg_ros.mapping.background import BackgroundFit, FitJob, FitReport, FitState
from aceg_ros.mapping.options import MIN_KEYFRAMES, MappingOptions
from aceg_ros.maps.file import holds_map
from aceg_ros.recording.keyframes import KeyframeRules
from aceg_ros.recording.recordings import Recordings

# A map that is fitted but not saved lies in the recording, and so outlives a crash.
FITTED_NAME = 'fitted.aceg'
# The map that a saved one replaced, until the next one is replaced.
REPLACED_NAME = 'replaced.aceg'


class RefusedError(AcegError):
    """Something was asked for that is not possible now."""


@dataclass
class Settings:
    """Where things are, and how to make them; may be changed at any time but for `recording`."""

    recording: Path
    map: Path
    rules: KeyframeRules = field(default_factory=KeyframeRules)
    options: MappingOptions = field(default_factory=MappingOptions)
    device: str = 'auto'
    encoder: str = ''  # as in `engine.Networks`; empty for the usual one
    regressor: str = ''
    image_suffix: str = '.jpg'
    extend: Path | None = None  # map that the keyframes join; None for a new one


class Session:
    """One recording, at most one fit at a time, and the map that comes of it; for several threads.

    What is asked for is answered with words, or refused with RefusedError, or fails with another
    AcegError. Nothing is answered before it is done, but for fits, which report on their own.
    """

    def __init__(
        self,
        settings: Settings,
        on_report: Callable[[FitReport], None],
        on_saved: Callable[[Path], None],
        cameras: Sequence[str] = (),
    ) -> None:
        """Take up the recording there is, `cameras` as `Recordings`; raises what that raises.

        `on_report` learns how a fit goes, `on_saved` of a map that `record_and_map` saved; both are
        called from other threads.
        """
        self.settings = settings
        self.recordings = Recordings(
            settings.recording, settings.rules, settings.image_suffix, cameras
        )
        self._on_report = on_report
        self._on_saved = on_saved
        self._lock = threading.RLock()
        self._fit: BackgroundFit | None = None
        self._save_when_done = False
        self._saved: Path | None = None
        self._replaced: Path | None = None  # where the last fit's map replaced another one
        self._fitted_anew = False  # by this program, and its last fit

    @property
    def recording(self) -> bool:
        """Whether keyframes are being taken."""
        return self.recordings.recording

    @property
    def fitting(self) -> bool:
        """Whether a fit is running."""
        with self._lock:
            return self._fit is not None

    @property
    def fitted(self) -> bool:
        """Whether there is a map to be saved."""
        return self._fitted_file.is_file()

    @property
    def saved(self) -> Path | None:
        """Where the map of the last fit was saved; None while it is not."""
        return self._saved

    @property
    def count(self) -> int:
        """Keyframes recorded."""
        return len(self.recordings.poses)

    def open(self, recording: Path) -> None:
        """Go to another recording, which is continued if it exists."""
        with self._lock:
            self._refuse_while_busy('another recording cannot be opened')
            settings = self.settings
            self.recordings = Recordings(
                recording, settings.rules, settings.image_suffix, self.recordings.cameras
            )
            settings.recording = recording

    def record(self, on: bool) -> str:
        """Begin to record, or go on with the recording there is; or stop."""
        with self._lock:
            if on == self.recording:
                return f'{"is recording" if on else "was not recording"} already; {self._have}'
            if not on:
                self.recordings.stop()
                return f'stopped; {self._have}'
            self.recordings.start()
            return f'recording to {self.recordings.path}; {self._have}'

    def fit(self) -> str:
        """Begin to fit a map to what is recorded by now."""
        with self._lock:
            return self._begin_fit(save_when_done=False)

    def cancel(self) -> str:
        """End the fit without a result; a map that its first one replaced comes back."""
        with self._lock:
            if self._fit is None:
                raise RefusedError('no fit is running')
            self._fit.cancel()
            return 'the fit is being cancelled'

    def save(self) -> str:
        """Put the fitted map where it is to be."""
        with self._lock:
            if self._fit is not None:
                raise RefusedError('the fit is still running; save when it is done')
            if not self.fitted:
                raise RefusedError('there is no map to save; fit one first')
            return self._save(self._fitted_file)

    def reset(self) -> str:
        """Begin anew; what is recorded is renamed."""
        with self._lock:
            if self._fit is not None:
                raise RefusedError('a fit is running; cancel it first, or wait for its end')
            backup = self.recordings.reset()
            if backup is None:
                return 'there was nothing recorded'
            return f'the recording is kept as {backup}; the next one begins anew'

    def record_and_map(self, on: bool) -> str:
        """Record afresh; or stop, fit, save the map, and have it loaded."""
        with self._lock:
            if on:
                self._refuse_while_busy('a new recording cannot begin')
                backup = self.recordings.reset()
                self.recordings.start()
                kept = '' if backup is None else f'; the one before is kept as {backup}'
                return f'recording to {self.recordings.path}{kept}'
            if not self.recording:
                raise RefusedError(self._why_not_recording)
            if self._fit is not None:
                raise RefusedError('a fit is running already; cancel it first, or wait for its end')
            self.recordings.stop()
            return self._begin_fit(save_when_done=True)

    def close(self) -> None:
        """Stop all work."""
        with self._lock:
            self.recordings.stop()
            fit = self._fit
        if fit is not None:
            fit.close()

    @property
    def _have(self) -> str:
        return f'{self.count} keyframes so far'

    @property
    def _why_not_recording(self) -> str:
        problem = self.recordings.problem
        words = f'recording stopped: {problem}' if problem else 'nothing is being recorded'
        # Calling with true would set aside what there is.
        if self.count:
            return f'{words}; or call fit, for a map of the {self.count} keyframes there are'
        return f'{words}; call with true first'

    @property
    def _fitted_file(self) -> Path:
        return self.recordings.path / FITTED_NAME

    @property
    def _replaced_file(self) -> Path:
        return self.recordings.path / REPLACED_NAME

    def _refuse_while_busy(self, what: str) -> None:
        if self.recording:
            raise RefusedError(f'{what} while one is being recorded ({self._have}); stop it first')
        if self._fit is not None:
            raise RefusedError(f'{what} while a fit is running; cancel it first')

    def _begin_fit(self, save_when_done: bool) -> str:
        if self._fit is not None:
            raise RefusedError('a fit is running already')
        if self.count < MIN_KEYFRAMES:
            raise RefusedError(
                f'{self.count} keyframes are recorded, but a map needs at least {MIN_KEYFRAMES}; '
                'record more views of the place, from different positions'
            )
        settings = self.settings
        self._check_extended(settings)
        self._save_when_done = save_when_done
        self._saved = None
        self._replaced = None
        self._fitted_anew = False
        job = FitJob(
            self.recordings.path,
            self._fitted_file,
            settings.options,
            settings.device,
            settings.encoder,
            settings.regressor,
            settings.extend,
        )
        try:
            self._fit = BackgroundFit(job, self._report)
        except OSError as error:
            raise StorageError(f'no process can be started for the fit ({error})') from error
        self._on_report(self._fit.report)
        joins = '' if settings.extend is None else f' that join {settings.extend}'
        return f'fitting {self.count} keyframes{joins}, for about {settings.options.budget:g} s'

    def _check_extended(self, settings: Settings) -> None:
        if settings.extend is None:
            return
        if settings.extend == settings.map:
            raise RefusedError(
                f'{settings.map} would be extended in place, and by the same keyframes again at '
                'the next fit: give `map` another file than `extend`'
            )
        if not holds_map(settings.extend):
            raise RefusedError(
                f'{settings.extend} is no map that could be extended: set `extend` to one, or '
                'leave it empty for a new map'
            )

    def _report(self, report: FitReport) -> None:
        running = report.state is FitState.RUNNING
        if running and not report.first_map:
            self._on_report(report)
            return
        changed = None
        with self._lock:
            try:
                changed = self._first_map() if running else self._end(report.state)
            except StorageError as error:
                if not running:
                    report = replace(report, state=FitState.FAILED, detail=str(error))
        if changed is not None and report.state in (FitState.CANCELLED, FitState.FAILED):
            report = replace(report, detail=f'{report.detail}; {changed} is as before')
        self._on_report(report)
        if changed is not None:
            self._on_saved(changed)

    def _first_map(self) -> Path | None:
        """Save the first map of the running fit, if its map is to be saved; where it is."""
        if self._fit is None or not self._save_when_done:
            return None
        self._save(self._fit.job.first_map)
        return self._saved

    def _end(self, state: FitState) -> Path | None:
        """Save the map of a fit that is done, or put back what its first one replaced; where."""
        self._fit = None
        self._fitted_anew = state is FitState.DONE
        if self._fitted_anew and self._save_when_done:
            self._save(self._fitted_file)
            return self._saved
        if self._fitted_anew or self._replaced is None:
            return None
        self._put_back(self._replaced)
        return self._replaced

    def _save(self, fitted: Path) -> str:
        target = self.settings.map
        if target.exists() and not holds_map(target):
            raise StorageError(
                f'{target} is no map, so it is not replaced; name another file. The map is kept as '
                f'{fitted}'
            )
        try:
            data = fitted.read_bytes()
            if target != self._saved and target.exists():
                write_atomically(self._replaced_file, target.read_bytes())
                self._replaced = target
            write_atomically(target, data)
        except OSError as error:
            raise StorageError(
                f'the map cannot be saved as {target} ({error}); it is kept as {fitted}'
            ) from error
        self._saved = target
        what = 'the map' if self._fitted_anew else 'the map of an earlier fit'
        return f'{what} is saved as {target}, {len(data) / 1e6:.2f} MB'

    def _put_back(self, target: Path) -> None:
        """Have the map again that a first one replaced at ``target``, and that none follows."""
        self._saved = None
        try:
            write_atomically(target, self._replaced_file.read_bytes())
        except OSError as error:
            raise StorageError(
                f'the map before cannot be put back to {target} ({error}); it is kept as '
                f'{self._replaced_file}'
            ) from error
