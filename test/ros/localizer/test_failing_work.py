"""Work on images that always fails, as on a GPU that is gone, does not leave the body localized."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from aceg_ros.ros.localizer.pipeline import Pipeline
from aceg_ros.tracking.gate import Fix
from aceg_ros.tracking.tracker import State, Tracker


@pytest.fixture
def tracker() -> Tracker:
    made = Tracker(lost_after=1.0)
    made.map_loaded('a map is loaded')
    made.image(100.0)
    made.fix(Fix(100.0, np.eye(4), 1e-4 * np.eye(6), None, 'hall'), made.epoch, 'found')
    return made


@pytest.fixture
def pipeline(tracker, monkeypatch) -> Pipeline:
    """One that takes stamps for images, and cannot find anything in them."""

    def fail(*_: object) -> None:
        raise RuntimeError('CUDA error')

    def view(number: int, stamp: float) -> SimpleNamespace:
        return SimpleNamespace(number=number, image=SimpleNamespace(seconds=stamp))

    made = object.__new__(Pipeline)
    made._tracker = tracker
    made._hooks = SimpleNamespace(examined=lambda problems: None)
    made._statistics = SimpleNamespace(of_cameras=[SimpleNamespace(unusable=0)])
    monkeypatch.setattr(made, '_view', view, raising=False)
    monkeypatch.setattr(made, '_localize', fail, raising=False)
    return made


def test_it_is_lost_in_time(pipeline, tracker):
    for stamp, state in ((100.5, State.LOCALIZED), (101.5, State.LOST)):
        with pytest.raises(RuntimeError, match='CUDA error'):
            pipeline({0: stamp})
        assert tracker.state is state
    assert tracker.status[1] == 'no fix for 1.5 s: an image was given up: CUDA error'
