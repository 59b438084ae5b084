"""Fixtures of the pose solvers' tests."""

from __future__ import annotations

import numpy as np
import pytest
from pose_scenes import CAMERAS


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(params=CAMERAS.values(), ids=CAMERAS.keys())
def camera(request):
    return request.param
