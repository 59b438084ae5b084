"""Parts of a fit, made once."""

from __future__ import annotations

import numpy as np
import pytest
from aceg_ros.progress import never, silent

from aceg_ros.mapping.keyframes import Keyframe, encode_keyframes


@pytest.fixture(scope='session')
def keyframes(views, engine) -> list[Keyframe]:
    """`views`, encoded."""
    rng = np.random.default_rng(0)
    encoded, skipped = encode_keyframes(views, engine.encoder, 600, rng, silent, never)
    assert not skipped
    return encoded
