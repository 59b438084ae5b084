"""3D points from features matched between posed views, by their rays alone, for any camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

ROUNDS = 3  # wrong matches fuse tracks; what a fused track's best point leaves over is linked again
HYPOTHESES = 8  # pairs of rays tried for each track
REFINEMENTS = 4  # Gauss-Newton steps on the rays that agree


@dataclass(frozen=True)
class Observations:
    """Image features as rays in the world."""

    origins: np.ndarray  # (N, 3) m, camera centers
    rays: np.ndarray  # (N, 3) unit vectors, world axes
    views: np.ndarray  # (N,) int, the image each one lies in
    max_error: np.ndarray  # (N,) rad: a point farther from the ray is another one

    def __len__(self) -> int:
        return len(self.rays)

    def __getitem__(self, chosen: np.ndarray) -> Observations:
        return Observations(
            self.origins[chosen], self.rays[chosen], self.views[chosen], self.max_error[chosen]
        )


def triangulate(
    observations: Observations, matches: np.ndarray, min_angle_deg: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Points (T, 3) m that matched observations agree on, and each observation's point (N,) or -1.

    `matches` (M, 2) are indices of observations thought to show the same point. Each point is seen
    in two images or more, once in each, under an angle of at least `min_angle_deg` between two of
    its rays.
    """
    random = np.random.default_rng(seed)
    points = np.zeros((0, 3))
    point_of = np.full(len(observations), -1)
    for _ in range(ROUNDS):
        free = np.flatnonzero(point_of < 0)
        matches = matches[(point_of[matches] < 0).all(axis=1)]
        if len(matches) == 0:
            break
        tracks = link_tracks(matches, len(observations))[free]
        found, owner = triangulate_tracks(observations[free], tracks, min_angle_deg, random)
        point_of[free] = np.where(owner >= 0, owner + len(points), -1)
        points = np.concatenate([points, found])
    return points, point_of


def link_tracks(matches: np.ndarray, count: int) -> np.ndarray:
    """Track (count,) int of each of `count` observations that `matches` (M, 2) connect."""
    ones = np.ones(len(matches), dtype=bool)
    graph = coo_matrix((ones, (matches[:, 0], matches[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def triangulate_tracks(
    observations: Observations,
    tracks: np.ndarray,
    min_angle_deg: float,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """At most one point for each track: as `triangulate`, with `tracks` (N,) given.

    A track starts from the pair of its rays that the others support best, so that wrong
    observations among right ones are recognized and dropped.
    """
    order = np.argsort(tracks, kind='stable')
    _, owner, sizes = np.unique(tracks[order], return_inverse=True, return_counts=True)
    bundle = _Bundle(observations[order], owner, sizes)
    points = bundle.best_hypothesis(random)
    for _ in range(REFINEMENTS):
        points = bundle.refine(points)
    good = bundle.best_per_view(points)
    views = np.bincount(owner[good], minlength=len(sizes))
    keep = (views >= 2) & (bundle.widest_angle(points, good) > np.radians(min_angle_deg))
    renumbered = np.where(keep, np.cumsum(keep) - 1, -1)
    point_of = np.full(len(order), -1)
    point_of[order] = np.where(good, renumbered[owner], -1)
    return points[keep], point_of


class _Bundle:
    """Observations sorted by track: each one's track `owner` (N,), each track's `sizes` (T,)."""

    def __init__(self, observations: Observations, owner: np.ndarray, sizes: np.ndarray) -> None:
        self.observations = observations
        self.owner, self.sizes = owner, sizes
        self.starts = np.cumsum(sizes) - sizes

    def directions(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors (N, 3) from the observations to their points, and distances (N, 1)."""
        offsets = points[self.owner] - self.observations.origins
        distance = np.linalg.norm(offsets, axis=1, keepdims=True)
        distance = np.maximum(distance, 1e-12)  # a point in a camera's center has no direction
        return offsets / distance, distance

    def errors(self, points: np.ndarray) -> np.ndarray:
        """Distance (N,) of the unit vectors along each ray and to its point, nearly radians."""
        return np.linalg.norm(self.observations.rays - self.directions(points)[0], axis=1)

    def best_hypothesis(self, random: np.random.Generator) -> np.ndarray:
        """Where a few pairs of rays meet: for each track the point of least truncated error."""
        best = self.observations.origins[self.starts]
        best_cost = np.full(len(self.sizes), np.inf)
        for _ in range(HYPOTHESES):
            first = random.integers(self.sizes)
            step = 1 + random.integers(np.maximum(self.sizes - 1, 1))
            second = (first + step) % self.sizes
            points = self._meeting_points(self.starts + first, self.starts + second)
            relative = self.errors(points) / self.observations.max_error
            cost = np.add.reduceat(np.minimum(relative**2, 1.0), self.starts)
            better = cost < best_cost  # never for nan
            best[better], best_cost[better] = points[better], cost[better]
        return best

    def _meeting_points(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Points halfway between two rays where they pass closest; nan when parallel or behind."""
        seen = self.observations
        a, b = seen.rays[first], seen.rays[second]
        base = seen.origins[second] - seen.origins[first]
        cosine = (a * b).sum(axis=1)
        along_a, along_b = (a * base).sum(axis=1), (b * base).sum(axis=1)
        sine2 = 1.0 - cosine**2
        with np.errstate(divide='ignore', invalid='ignore'):
            depth_a = (along_a - cosine * along_b) / sine2
            depth_b = (cosine * along_a - along_b) / sine2
            ends = depth_a[:, None] * a + depth_b[:, None] * b
        points = (seen.origins[first] + seen.origins[second] + ends) / 2
        points[~((depth_a > 0) & (depth_b > 0) & (sine2 > 1e-10))] = np.nan
        return points

    def refine(self, points: np.ndarray) -> np.ndarray:
        """One Gauss-Newton step on the squared errors of the observations within their bounds."""
        directions, distance = self.directions(points)
        residuals = self.observations.rays - directions
        bound = self.observations.max_error
        weight = (np.linalg.norm(residuals, axis=1) < bound) / (bound * distance[:, 0]) ** 2
        across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
        normal = np.add.reduceat(weight[:, None, None] * across, self.starts)
        pull = np.einsum('nij,nj->ni', across, residuals * distance)
        right = np.add.reduceat(weight[:, None] * pull, self.starts)
        # Rays that are almost parallel leave the depth open; damping holds such a point where it
        # is.
        damping = 1e-9 * np.trace(normal, axis1=1, axis2=2) + np.finfo(float).tiny
        normal += damping[:, None, None] * np.eye(3)
        return points + np.linalg.solve(normal, right[:, :, None])[:, :, 0]

    def best_per_view(self, points: np.ndarray) -> np.ndarray:
        """Which observations (N,) bool agree with the point, the most exact one of each image."""
        errors = self.errors(points)
        agreeing = np.flatnonzero(errors < self.observations.max_error)
        views, owner = self.observations.views, self.owner
        agreeing = agreeing[np.lexsort((errors[agreeing], views[agreeing], owner[agreeing]))]
        first = np.ones(len(agreeing), dtype=bool)
        first[1:] = (np.diff(owner[agreeing]) != 0) | (np.diff(views[agreeing]) != 0)
        good = np.zeros(len(errors), dtype=bool)
        good[agreeing[first]] = True
        return good

    def widest_angle(self, points: np.ndarray, good: np.ndarray) -> np.ndarray:
        """Angle (T,) rad between the directions of two `good` observations of each track.

        Found by going to the direction farthest from the last one a few times, which is the widest
        angle or little less.
        """
        directions = self.directions(points)[0]
        reference = directions[self.starts]
        cosine = np.ones(len(points))
        for _ in range(3):
            cosines = np.where(good, (directions * reference[self.owner]).sum(axis=1), 2.0)
            cosine = np.minimum.reduceat(cosines, self.starts)
            farthest = np.flatnonzero(cosines == cosine[self.owner])
            reference[self.owner[farthest]] = directions[farthest]
        return np.arccos(np.clip(cosine, -1.0, 1.0))
