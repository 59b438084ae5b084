"""What can be asked for when, with fits that end as the test wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from map_codes import map_code

from aceg_ros.datasets import open_dataset
from aceg_ros.errors import AcegError, StorageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose
from aceg_ros.mapping.background import FitReport, FitState
from aceg_ros.maps.file import holds_map, read_map, write_map
from aceg_ros.recording import session as module
from aceg_ros.recording.keyframes import KeyframeRules
from aceg_ros.recording.session import RefusedError, Session, Settings

CAMERA = Camera.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)
IMAGE = np.random.default_rng(2).integers(0, 256, (48, 64, 3), np.uint8)


class ScriptedFit:
    """Stands in for the process: ends when told."""

    started: ScriptedFit

    def __init__(self, job, listener) -> None:
        self.job, self._listener = job, listener
        self.report = FitReport(FitState.RUNNING, 'start', 0.0, '', 60.0)
        self.cancelled = self.closed = False
        ScriptedFit.started = self

    def cancel(self) -> None:
        self.cancelled = True

    def close(self) -> None:
        self.closed = True

    def first(self) -> None:
        write_map(self.job.first_map, map_code(tokens=70))
        self._listener(FitReport(FitState.RUNNING, 'fit', 0.5, '', 30.0, first_map=True))

    def end(self, state: FitState) -> None:
        if state is FitState.DONE:
            write_map(self.job.output, map_code())
        self._listener(FitReport(state, 'fit', 1.0, '', 0.0))


@pytest.fixture
def reports() -> list[FitReport]:
    return []


@pytest.fixture
def saved() -> list[Path]:
    return []


@pytest.fixture
def session(tmp_path, reports, saved, monkeypatch) -> Session:
    monkeypatch.setattr(module, 'BackgroundFit', ScriptedFit)
    settings = Settings(tmp_path / 'r', tmp_path / 'm.aceg', KeyframeRules(sharpness=0.0))
    return Session(settings, reports.append, saved.append)


def take(session: Session, count: int) -> None:
    """Record so many keyframes."""
    for _ in range(count):
        x = float(session.count)
        session.recordings.offer(0, x, make_pose(np.eye(3), [x, 0.0, 0.0]), lambda: (IMAGE, CAMERA))


def recorded_and_fitting(session: Session) -> ScriptedFit:
    session.record_and_map(True)
    take(session, 5)
    session.record_and_map(False)
    return ScriptedFit.started


def test_record_and_map(session, reports, saved):
    fit = recorded_and_fitting(session)
    assert not session.recording
    assert session.fitting
    fit.end(FitState.DONE)
    assert not session.fitting
    assert holds_map(session.settings.map)
    assert saved == [session.settings.map]
    assert [report.state for report in reports] == [FitState.RUNNING, FitState.DONE]


@pytest.mark.parametrize('state', [FitState.FAILED, FitState.CANCELLED])
def test_fit_without_result(session, saved, state):
    recorded_and_fitting(session).end(state)
    assert saved == []
    assert not session.settings.map.exists()
    assert session.fit().startswith('fitting 5 keyframes')


@pytest.mark.parametrize('state', [FitState.FAILED, FitState.CANCELLED])
class TestFirstMapOfFitWithoutResult:
    def test_gives_way_to_the_map_before(self, session, reports, saved, state):
        write_map(session.settings.map, map_code(tokens=90))
        before = session.settings.map.read_bytes()
        fit = recorded_and_fitting(session)
        fit.first()
        assert session.settings.map.read_bytes() == fit.job.first_map.read_bytes() != before
        fit.end(state)
        assert session.settings.map.read_bytes() == before
        assert saved == [session.settings.map] * 2
        assert reports[-1].state is state
        assert reports[-1].detail.endswith('m.aceg is as before')
        assert session.saved is None

    def test_stays_where_there_was_none(self, session, saved, state):
        fit = recorded_and_fitting(session)
        fit.first()
        fit.end(state)
        assert session.settings.map.read_bytes() == fit.job.first_map.read_bytes()
        assert saved == [session.settings.map]

    def test_leaves_an_earlier_fit_as_it_is(self, session, state):
        recorded_and_fitting(session).end(FitState.DONE)
        session.fit()
        ScriptedFit.started.first()
        ScriptedFit.started.end(state)
        assert read_map(session.recordings.path / 'fitted.aceg').anchors.shape == (
            map_code().anchors.shape
        )


def test_replaced_map_is_kept(session):
    write_map(session.settings.map, map_code(tokens=90))
    before = session.settings.map.read_bytes()
    fit = recorded_and_fitting(session)
    fit.first()
    fit.end(FitState.DONE)
    assert session.settings.map.read_bytes() == fit.job.output.read_bytes()
    assert (session.recordings.path / 'replaced.aceg').read_bytes() == before


def test_map_that_cannot_be_saved_is_kept(session, reports, saved, tmp_path):
    (tmp_path / 'file').write_text('')
    session.settings.map = tmp_path / 'file' / 'm.aceg'
    recorded_and_fitting(session).end(FitState.DONE)
    assert reports[-1].state is FitState.FAILED
    assert 'it is kept as' in reports[-1].detail
    assert saved == []
    with pytest.raises(StorageError):
        session.save()
    session.settings.map = tmp_path / 'm.aceg'
    session.save()
    assert session.saved == tmp_path / 'm.aceg'


def test_only_maps_are_replaced(session, tmp_path):
    """Whoever sets the parameter `map` does not thereby choose a file to be destroyed."""
    session.settings.map = tmp_path / 'notes.txt'
    session.settings.map.write_text('precious')
    recorded_and_fitting(session).end(FitState.DONE)
    with pytest.raises(StorageError, match='is no map, so it is not replaced'):
        session.save()
    assert session.settings.map.read_text() == 'precious'


def test_joins_another_map(session, tmp_path):
    session.settings.extend = tmp_path / 'day.aceg'
    write_map(session.settings.extend, map_code())
    fit = recorded_and_fitting(session)
    assert fit.job.base == tmp_path / 'day.aceg'


@pytest.mark.parametrize(
    ('name', 'words'), [('m.aceg', 'extended in place'), ('none.aceg', 'is no map that could be')]
)
def test_what_cannot_be_extended(session, tmp_path, name, words):
    session.settings.extend = tmp_path / name
    session.record(True)
    take(session, 5)
    with pytest.raises(RefusedError, match=words):
        session.fit()


def test_writes_only_where_it_is_told(session, tmp_path):
    recorded_and_fitting(session).end(FitState.DONE)
    session.save()
    session.reset()
    session.record(True)
    take(session, 2)
    session.record(False)
    assert {file.name for file in tmp_path.iterdir()} == {'r', 'r.backup-1', 'm.aceg'}


def test_fit_and_save_apart(session, saved):
    session.record(True)
    take(session, 6)
    session.fit()
    assert session.recording
    ScriptedFit.started.end(FitState.DONE)
    assert session.saved is None
    assert session.save().startswith(f'the map is saved as {session.settings.map}, 0.')
    assert saved == []
    session.fit()
    ScriptedFit.started.end(FitState.FAILED)
    assert session.save().startswith('the map of an earlier fit')


def test_unsaved_map_outlives_a_crash(session, reports, saved):
    session.record(True)
    take(session, 5)
    session.fit()
    ScriptedFit.started.end(FitState.DONE)
    again = Session(session.settings, reports.append, saved.append)
    assert again.count == 5
    assert again.save().startswith('the map of an earlier fit')
    assert holds_map(session.settings.map)


def test_fresh_recording_keeps_the_old_one_and_its_map(session):
    recorded_and_fitting(session).end(FitState.DONE)
    words = session.record_and_map(True)
    backup = session.recordings.path.with_name('r.backup-1')
    assert str(backup) in words
    assert len(open_dataset(backup)) == 5
    with pytest.raises(RefusedError, match='no map to save'):
        session.save()


def test_cancel_and_close(session):
    fit = recorded_and_fitting(session)
    session.cancel()
    assert fit.cancelled
    session.close()
    assert fit.closed


REQUESTS = {
    'record': lambda session: session.record(True),
    'stop': lambda session: session.record(False),
    'fit': lambda session: session.fit(),
    'cancel': lambda session: session.cancel(),
    'save': lambda session: session.save(),
    'begin': lambda session: session.record_and_map(True),
    'finish': lambda session: session.record_and_map(False),
    'reset': lambda session: session.reset(),
    'open': lambda session: session.open(session.recordings.path / 'other'),
}
# What is refused in which state, and why; anything else is done.
REFUSALS = {
    'empty': {
        'fit': '0 keyframes are recorded, but a map needs at least 5',
        'cancel': 'no fit is running',
        'save': 'there is no map to save; fit one first',
        'finish': 'nothing is being recorded; call with true first',
    },
    'idle': {
        'cancel': 'no fit is running',
        'save': 'there is no map to save; fit one first',
        'finish': 'call fit, for a map of the 5 keyframes',
    },
    'recording': {
        'cancel': 'no fit is running',
        'save': 'there is no map to save; fit one first',
        'begin': 'while one is being recorded .5 keyframes so far.; stop it first',
        'open': 'while one is being recorded .5 keyframes so far.; stop it first',
    },
    'fitting': {
        'fit': 'a fit is running already',
        'save': 'the fit is still running; save when it is done',
        'begin': 'while a fit is running; cancel it first',
        'finish': 'call fit, for a map of the 5 keyframes',
        'reset': 'a fit is running; cancel it first, or wait for its end',
        'open': 'while a fit is running; cancel it first',
    },
    'both': {
        'fit': 'a fit is running already',
        'save': 'the fit is still running; save when it is done',
        'begin': 'while one is being recorded .5 keyframes so far.; stop it first',
        'finish': 'a fit is running already; cancel it first, or wait for its end',
        'reset': 'a fit is running; cancel it first, or wait for its end',
        'open': 'while one is being recorded .5 keyframes so far.; stop it first',
    },
}


@pytest.mark.parametrize('state', REFUSALS)
@pytest.mark.parametrize('request_name', REQUESTS)
def test_every_request_in_every_state(session, state, request_name):
    if state != 'empty':
        session.record(True)
        take(session, 5)
    if state in ('fitting', 'both'):
        session.fit()
    if state in ('idle', 'fitting'):
        session.record(False)
    before = session.recording, session.fitting, session.count
    if request_name in REFUSALS[state]:
        with pytest.raises(RefusedError, match=REFUSALS[state][request_name]):
            REQUESTS[request_name](session)
        assert (session.recording, session.fitting, session.count) == before
    else:
        REQUESTS[request_name](session)


def test_after_a_full_disk(session, monkeypatch):
    """What was recorded is not to be set aside by following the advice."""

    def full(*_):
        raise OSError('No space left')

    session.record_and_map(True)
    take(session, 5)
    monkeypatch.setattr('aceg_ros.datasets.recording.write_atomically', full)
    with pytest.raises(StorageError):
        take(session, 1)
    with pytest.raises(RefusedError, match=r'No space left.*or call fit, for a map'):
        session.record_and_map(False)
    session.fit()


def test_too_few_keyframes(session):
    session.record_and_map(True)
    take(session, 4)
    with pytest.raises(RefusedError, match=r'4 keyframes are recorded.*at least 5'):
        session.record_and_map(False)
    assert not session.recording
    session.record(True)
    take(session, 1)
    session.fit()


def test_no_process_can_be_started(session, monkeypatch):
    def fail(*_):
        raise OSError('out of processes')

    session.record(True)
    take(session, 5)
    monkeypatch.setattr(module, 'BackgroundFit', fail)
    with pytest.raises(AcegError, match='out of processes'):
        session.fit()
    assert not session.fitting


def test_open_continues_what_is_there(session, tmp_path):
    session.record(True)
    take(session, 3)
    session.record(False)
    session.open(tmp_path / 'other')
    assert session.count == 0
    session.open(tmp_path / 'r')
    assert session.count == 3
