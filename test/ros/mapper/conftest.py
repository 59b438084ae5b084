"""A mapper that tests of a module share, and a robot that drives about for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness import Ros
    from mapper_robot import Mapper, Robot


@pytest.fixture(scope='module')
def start_mapper(ros: Ros, tmp_path_factory) -> Callable[..., Mapper]:
    """Start the node with parameters of its own, `EASY` and poses from a topic if not told."""

    from mapper_robot import EASY, Mapper

    def start(
        folder: Path | None = None, name: str = 'aceg_mapper', **parameters: object
    ) -> Mapper:
        folder = folder or tmp_path_factory.mktemp('mapper') / 'recording'
        places = {'recording': folder, 'map': folder.parent / 'place.aceg'}
        wanted = EASY | {'pose_source': 'topic'} | places | parameters
        process = ros.start('aceg_ros.ros.mapper', parameters=wanted, remap={'__node': name})
        mapper = Mapper(ros, process, folder, name)
        mapper.statuses.wait()
        return mapper

    return start


@pytest.fixture(scope='module')
def shared_mapper(start_mapper) -> Mapper:
    """A mapper that tests of a module share."""
    return start_mapper()


@pytest.fixture(scope='module')
def robot(ros: Ros, shared_mapper: Mapper) -> Robot:
    """A robot whose images the shared mapper gets."""
    from mapper_robot import Robot

    return Robot(ros)


@pytest.fixture
def mapper(shared_mapper: Mapper, tmp_path: Path) -> Iterator[Mapper]:
    """The shared one, idle, with a recording of its own for the test."""
    shared_mapper.folder = tmp_path / 'recording'
    accepted, reason = shared_mapper.set(recording=str(shared_mapper.folder))
    assert accepted, reason
    accepted, reason = shared_mapper.set(map=str(tmp_path / 'place.aceg'))
    assert accepted, reason
    shared_mapper.progress.clear()
    yield shared_mapper
    if shared_mapper.process.alive:
        shared_mapper.switch('record', False)
        # A test that failed may have left a fit behind.
        if shared_mapper.trigger('cancel')[0]:
            shared_mapper.finished()


@pytest.fixture
def t(robot: Robot) -> float:
    """When the test's robot sets off, in seconds of its own clock."""
    return robot.later()
