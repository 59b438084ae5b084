"""The thread that works on images outlives what images bring about, and its own death once."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from types import SimpleNamespace

import pytest
from processes import wait_until

from aceg_ros.ros.localizer.background import Background
from aceg_ros.ros.worker import Worker


class Camera:
    """Always has an image."""

    def __init__(self) -> None:
        self.taken = 0

    def take(self, timeout: float) -> int:
        time.sleep(0.002)
        self.taken += 1
        return self.taken

    def wake(self) -> None:
        pass


class Death(BaseException):
    """Nothing that anybody catches."""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def start(said):
    """Start a worker that does this with each image."""
    workers = []

    def start(work: Callable[[int], None]) -> Worker:
        logger = SimpleNamespace(
            error=lambda words, **_: said.append(words), fatal=lambda words: said.append(words)
        )
        workers.append(Worker(Camera(), work, lambda: 0.0, logger, 'localize'))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop(1.0)


def test_an_image_that_breaks_something(start):
    done = []

    def work(image: int) -> None:
        if image == 2:
            raise RuntimeError('CUDA error')
        done.append(image)

    worker = start(work)
    wait_until(lambda: len(done) > 3, what='later images')
    assert done[:2] == [1, 3]
    assert worker.problem == ''


def test_images_that_all_break_something(start):
    def work(image: int) -> None:
        raise RuntimeError('CUDA error')

    worker = start(work)
    wait_until(lambda: worker.problem != '', what='a problem')
    assert worker.problem == 'an image was given up: RuntimeError: CUDA error'


def test_a_thread_that_dies_is_started_once_more(start, said):
    done = []

    def work(image: int) -> None:
        if image == 2:
            raise Death('out of order')
        done.append(image)

    worker = start(work)
    wait_until(lambda: len(done) > 3, what='images after the death')
    assert worker.problem == ''
    assert 'started once more' in said[0]
    assert 'out of order' in said[0]


def test_a_thread_that_dies_again(start, said):
    def work(image: int) -> None:
        raise Death('out of order')

    worker = start(work)
    wait_until(lambda: worker.problem != '', what='a problem')
    assert worker.problem == "the thread 'localize' ended: Death: out of order; restart the node"
    assert worker.ended
    assert len(said) == 2


def test_an_image_whose_work_hangs(start, monkeypatch):
    monkeypatch.setattr('aceg_ros.ros.worker._HANGS', 0.2)
    freed = Event()
    worker = start(lambda image: freed.wait(10.0))
    wait_until(lambda: worker.stuck, what='a worker that is stuck')
    assert worker.problem.startswith('one image has been worked on for ')
    assert worker.problem.endswith('; restart the node')
    assert not worker.ended
    monkeypatch.setattr('aceg_ros.ros.worker._HANGS', 60.0)
    freed.set()
    wait_until(lambda: not worker.stuck, what='images that get their turn again')
    assert worker.problem == ''


def test_background_work_that_dies_leaves_the_thread_alive():
    background = Background('maps')

    def die() -> None:
        raise Death('out of order')

    with pytest.raises(Death):
        background.submit(die).result(5.0)
    assert background.submit(lambda: 7).result(5.0) == 7
    background.stop()
