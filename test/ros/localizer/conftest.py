"""The room's map as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from aceg_ros.maps.file import write_map


@pytest.fixture(scope='session')
def room_map(tmp_path_factory, mapped) -> Path:
    """Not to be changed."""
    path = tmp_path_factory.mktemp('maps') / 'room.aceg'
    write_map(path, mapped.code)
    return path
