"""Parts of a fit, made once."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.mapping.keyframes import Keyframe, encode_keyframes
from aceg_ros.monitor import Monitor


@pytest.fixture(scope='session')
def keyframes(views, engine) -> list[Keyframe]:
    """`views`, encoded."""
    rng = np.random.default_rng(0)
    encoded, skipped = encode_keyframes(views, engine.encoder, 600, rng, False, Monitor())
    assert not skipped
    return encoded
