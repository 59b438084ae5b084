"""A localizer in the room's map, and what it says of one view."""

from __future__ import annotations

import pytest

from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization


@pytest.fixture(scope='module')
def localizer(mapped, engine):
    return Localizer(mapped.code, engine)


@pytest.fixture(scope='module')
def query(queries):
    """A view that the map explains well."""
    return queries[2]


@pytest.fixture(scope='module')
def found(localizer, query):
    answer = localizer.localize(query.image(), query.camera)
    assert isinstance(answer, Localization)
    return answer
