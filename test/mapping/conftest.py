"""Parts of a fit, made once."""

from __future__ import annotations

import numpy as np
import pytest
from plane_keyframes import views_of
from textured_plane import TexturedPlane

from aceg_ros.mapping.keyframes import Keyframe, encode_changed_copies, encode_keyframes
from aceg_ros.monitor import Monitor


@pytest.fixture(scope='session')
def keyframes(views, engine) -> list[Keyframe]:
    """`views`, encoded."""
    encoded, skipped = encode_keyframes(views, engine.encoder, False, Monitor())
    assert not skipped
    rng = np.random.default_rng(0)
    return encode_changed_copies(encoded, engine.encoder, 600, rng, Monitor())


@pytest.fixture(scope='session')
def plane() -> TexturedPlane:
    """A surface that is known."""
    return TexturedPlane()


@pytest.fixture(scope='session')
def sights(plane: TexturedPlane) -> list:
    """As much of keyframes that show it as points are placed with."""
    return views_of(plane)
