"""A map on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from map_codes import map_code

from aceg_ros.maps.file import write_map


@pytest.fixture
def path(tmp_path) -> Path:
    """A small map, which a test may harm."""
    path = tmp_path / 'room.aceg'
    write_map(path, map_code())
    return path
