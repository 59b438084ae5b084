"""The room's views, compared once."""

from __future__ import annotations

import pytest

from aceg_ros.inspection.views import Views, compare_neighbors
from aceg_ros.monitor import Monitor


@pytest.fixture(scope='session')
def compared(views) -> Views:
    """`views`, whose poses are right."""
    return compare_neighbors(views, Monitor())
