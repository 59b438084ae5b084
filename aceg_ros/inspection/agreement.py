"""Whether poses agree with what pairs of images show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import compose, inverse
from aceg_ros.inspection.matching import Features, RayMatches, match_features, verified

Array = NDArray[np.float64]

TOLERANCE_DEG = 1.0  # of a match from where the poses allow it; right poses leave 0.1 to 0.3
MIN_MATCHES = 20  # fewer verified ones say nothing
DISAGREES = 0.35  # part of the matches that the poses allow; less is another place


@dataclass(frozen=True)
class Pair:
    """Two views of one thing, found by what the images show and not by poses."""

    first: int
    second: int
    matches: RayMatches  # verified

    def agreement(self, poses: Array, tolerance_deg: float = TOLERANCE_DEG) -> float:
        """Part (0 to 1) of the matches that the poses (N, 4, 4), world_from_cam, allow."""
        second_from_first = compose(inverse(poses[self.second]), poses[self.first])
        errors = arc_errors(self.matches, second_from_first)
        return float(np.mean(np.degrees(errors) < tolerance_deg))


def make_pair(first: int, second: int, views: tuple[Features, Features]) -> Pair | None:
    """The pair of two views by their features; None where they do not show the same."""
    matches = verified(match_features(*views), views[0].focal)
    return Pair(first, second, matches) if len(matches) >= MIN_MATCHES else None


def arc_errors(matches: RayMatches, second_from_first: Array) -> Array:
    """Angles (M,) rad between a match and where a relative pose (4, 4) allows it to be.

    A point on the first ray, from one baseline away to infinity, appears in the second image on an
    arc of a great circle. The arc is the part of the epipolar line in front of both cameras.
    Without a baseline the arc is one direction, so that a pose that stands still while images move
    does not pass. The unit of length makes no difference.
    """
    rotation, shift = second_from_first[:3, :3], second_from_first[:3, 3]
    far = matches.first @ rotation.T
    near = far * np.linalg.norm(shift) + shift
    length = np.linalg.norm(near, axis=1, keepdims=True)
    near = np.where(length > 1e-12, near / np.maximum(length, 1e-12), far)
    normal = np.cross(far, near)
    size = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.maximum(size, 1e-12)
    seen = matches.second
    beyond_far = (np.cross(normal, far) * seen).sum(axis=1) <= 0
    beyond_near = (np.cross(near, normal) * seen).sum(axis=1) <= 0
    beside = np.arcsin(np.clip(np.abs((normal * seen).sum(axis=1)), 0.0, 1.0))
    ends = np.minimum(_angles(seen, far), _angles(seen, near))
    return np.where(beyond_far | beyond_near | (size[:, 0] < 1e-9), ends, beside)


def _angles(first: Array, second: Array) -> Array:
    """Between unit vectors (M, 3), rad; exact for small ones, where arccos is not."""
    chord = np.linalg.norm(first - second, axis=1)
    return np.asarray(2.0 * np.arcsin(np.minimum(chord / 2.0, 1.0)))
