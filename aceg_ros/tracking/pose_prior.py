"""A pose that a person or another program gives as a starting point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aceg_ros.errors import PoseError

Array = NDArray[np.float64]

# Tools that place a pose on a floor plan leave height, roll and pitch at variance 0: not known.
# One meter and 30 degrees.
_UNKNOWN = np.array([1.0] * 3 + [np.radians(30.0)] * 3) ** 2
_NEXT_TO_NOTHING = 1e-9


def believable(covariance: Array) -> Array:
    """Covariance (6, 6) of a hint with each direction of variance 0 made a wide one.

    Raises PoseError when it is not finite, not symmetric or not positive semi-definite.
    """
    if not np.isfinite(covariance).all():
        raise PoseError('its covariance has nan or infinite entries')
    scale = max(float(np.abs(covariance).max()), _NEXT_TO_NOTHING)
    if np.abs(covariance - covariance.T).max() > 1e-6 * scale:
        raise PoseError('its covariance is not symmetric')
    if np.linalg.eigvalsh(covariance)[0] < -1e-6 * scale:
        raise PoseError('its covariance has negative eigenvalues')
    unknown = np.diag(covariance) < _NEXT_TO_NOTHING
    filled = covariance.copy()
    filled[unknown, unknown] = _UNKNOWN[unknown]
    return filled
