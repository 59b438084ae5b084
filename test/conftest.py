"""Fixtures for the whole suite: real sequences, and a procedural room that is mapped once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from aceg_ros.threads import wait_idly

wait_idly()
# Test processes side by side share the cores; PyTorch reads it when it is imported.
if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')
# Tests send SIGINT to themselves and to processes they start; background jobs have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

from free_room import SCHEDULE, learned_regressor  # noqa: E402

from aceg_ros.datasets import Frame  # noqa: E402
from aceg_ros.engine import Engine  # noqa: E402
from aceg_ros.geometry.cameras import Camera  # noqa: E402
from aceg_ros.lab.worlds import World, WorldOptions, make_world, record, tour  # noqa: E402
from aceg_ros.mapping.mapper import map_scene  # noqa: E402
from aceg_ros.mapping.options import FitOptions, FreeOptions, MappingOptions  # noqa: E402
from aceg_ros.mapping.result import MappingResult  # noqa: E402
from aceg_ros.regressor.ace_g import AceGRegressor  # noqa: E402


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder of real sequences beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / 'shared'
    if not (folder / 'data').is_dir():
        pytest.skip('real sequences (../shared/data) are not on this machine')
    return folder


@pytest.fixture(scope='session')
def engine() -> Engine:
    """The shipped networks, on the CPU."""
    return Engine.load('cpu')


@pytest.fixture(scope='session')
def room() -> World:
    """A room full of things."""
    return make_world(7, WorldOptions(texture_size=256, clutter=0.9, plain=0.1))


@pytest.fixture(scope='session')
def room_camera() -> Camera:
    """A small camera whose principal point is off the middle."""
    return Camera.pinhole(320, 240, 262.0, 263.0, 158.0, 121.0)


@pytest.fixture(scope='session')
def views(room: World, room_camera: Camera) -> list[Frame]:
    """28 views along a path through the room, with poses and depth."""
    path = tour(room, 60, seed=7)
    return record(room, room_camera, path[:56:2], name='view', supersample=1).frames


@pytest.fixture(scope='session')
def queries(room: World, room_camera: Camera) -> list[Frame]:
    """8 views between those of `views`."""
    path = tour(room, 60, seed=7)
    return record(room, room_camera, path[1:48:6], name='query', supersample=1).frames


@pytest.fixture(scope='session')
def quick() -> MappingOptions:
    """A fit of seconds, good to some centimeters; time never cuts it short."""
    return MappingOptions(
        budget=600.0, tokens=1024, fit=FitOptions(epochs=3, buffer_patches=20_000)
    )


@pytest.fixture(scope='session')
def mapped(views: list[Frame], engine: Engine, quick: MappingOptions) -> MappingResult:
    """The room's map, made from `views`."""
    return map_scene(views, engine, quick)


@pytest.fixture(scope='session')
def free_regressor(views: list[Frame], engine: Engine) -> AceGRegressor:
    """A regressor that reads free codes of the room."""
    return learned_regressor(views, engine.encoder)


@pytest.fixture(scope='session')
def free_engine(engine: Engine, free_regressor: AceGRegressor) -> Engine:
    """The shipped encoder and `free_regressor`."""
    return Engine(engine.encoder, free_regressor)


@pytest.fixture(scope='session')
def free_mapped(views: list[Frame], free_engine: Engine) -> MappingResult:
    """The room's map as a free code, made from `views`."""
    return map_scene(views, free_engine, MappingOptions(free=FreeOptions(SCHEDULE)))
