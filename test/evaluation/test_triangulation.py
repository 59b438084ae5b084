"""Points from rays: exactness, wrong matches, and what must not become a point."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.evaluation.baselines.triangulation import (
    Observations,
    link_tracks,
    triangulate,
)

MAX_ERROR = 0.01


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def observe(points, centers, noise=0.0, rng=None):
    """Every point seen from every center, point by point."""
    views = np.tile(np.arange(len(centers)), len(points))
    offsets = np.repeat(points, len(centers), axis=0) - centers[views]
    rays = offsets / np.linalg.norm(offsets, axis=1, keepdims=True)
    if noise:
        rays = rays + rng.normal(scale=noise, size=rays.shape)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return Observations(centers[views], rays, views, np.full(len(rays), MAX_ERROR))


def chain(count, length):
    """Matches that link `count` tracks of `length` consecutive observations each."""
    first = np.arange(count * length).reshape(count, length)
    return np.stack([first[:, :-1].ravel(), first[:, 1:].ravel()], axis=1)


class TestExactRays:
    def test_points_are_found(self, rng):
        points = rng.uniform(-2, 2, size=(40, 3)) + [0, 0, 6]
        centers = rng.uniform(-1, 1, size=(5, 3))
        found, point_of = triangulate(observe(points, centers), chain(40, 5), 1.0)
        assert len(found) == 40
        assert found[point_of] == pytest.approx(np.repeat(points, 5, axis=0), abs=1e-6)

    def test_all_directions_serve(self, rng):
        points = rng.normal(size=(30, 3)) * 3.0  # around the cameras, not before them
        points += 4.0 * points / np.linalg.norm(points, axis=1, keepdims=True)
        centers = rng.uniform(-1, 1, size=(4, 3))
        found, point_of = triangulate(observe(points, centers), chain(30, 4), 1.0)
        assert found[point_of] == pytest.approx(np.repeat(points, 4, axis=0), abs=1e-5)

    def test_unmatched_observations_make_no_point(self, rng):
        points = rng.uniform(-2, 2, size=(3, 3)) + [0, 0, 6]
        observations = observe(points, rng.uniform(-1, 1, size=(4, 3)))
        found, point_of = triangulate(observations, chain(3, 4)[:3], 1.0)
        assert len(found) == 1
        assert (point_of[:4] == 0).all() and (point_of[4:] == -1).all()

    def test_no_matches_give_no_points(self, rng):
        observations = observe(np.ones((1, 3)), np.zeros((2, 3)))
        found, point_of = triangulate(observations, np.zeros((0, 2), dtype=int), 1.0)
        assert found.shape == (0, 3)
        assert (point_of == -1).all()


class TestBadRays:
    def test_noise_averages_out(self, rng):
        points = rng.uniform(-2, 2, size=(50, 3)) + [0, 0, 6]
        centers = rng.uniform(-1.5, 1.5, size=(12, 3))
        observations = observe(points, centers, noise=0.001, rng=rng)
        found, point_of = triangulate(observations, chain(50, 12), 1.0)
        errors = np.linalg.norm(found[point_of] - np.repeat(points, 12, axis=0), axis=1)
        assert np.median(errors) < 0.02

    def test_wrong_observations_are_dropped(self, rng):
        points = rng.uniform(-2, 2, size=(30, 3)) + [0, 0, 6]
        observations = observe(points, rng.uniform(-1, 1, size=(8, 3)))
        wrong = np.arange(30) * 8 + rng.integers(8, size=30)
        observations.rays[wrong] = observations.rays[(wrong + 8 * 11) % 240]
        found, point_of = triangulate(observations, chain(30, 8), 1.0)
        right = np.setdiff1d(np.arange(240), wrong)
        assert (point_of[wrong] == -1).mean() > 0.9
        true = np.repeat(points, 8, axis=0)
        assert found[point_of[right]] == pytest.approx(true[right], abs=1e-4)

    def test_points_fused_by_a_wrong_match_are_parted(self, rng):
        points = np.array([[0.0, 0.0, 5.0], [1.0, 0.5, 5.0]])
        observations = observe(points, rng.uniform(-1, 1, size=(6, 3)))
        matches = np.concatenate([chain(2, 6), [[5, 6]]])
        found, point_of = triangulate(observations, matches, 1.0)
        assert found[point_of] == pytest.approx(np.repeat(points, 6, axis=0), abs=1e-6)

    def test_parallel_rays_make_no_point(self):
        centers = np.array([[0.0, 0, 0], [0.01, 0, 0], [0.02, 0, 0]])
        found, _ = triangulate(observe(np.array([[0.0, 0.0, 9.0]]), centers), chain(1, 3), 1.0)
        assert len(found) == 0

    def test_one_image_alone_makes_no_point(self):
        observations = observe(np.array([[0.0, 0.0, 5.0]]), np.eye(3))
        same = Observations(
            observations.origins, observations.rays, np.zeros(3, dtype=int), observations.max_error
        )
        assert len(triangulate(same, chain(1, 3), 1.0)[0]) == 0

    def test_rays_that_meet_behind_make_no_point(self):
        observations = observe(np.array([[0.0, 0.0, 5.0]]), np.eye(3))
        backwards = Observations(
            observations.origins, -observations.rays, observations.views, observations.max_error
        )
        assert len(triangulate(backwards, chain(1, 3), 1.0)[0]) == 0

    def test_a_point_is_seen_once_in_an_image(self, rng):
        centers = rng.uniform(-1, 1, size=(4, 3))
        twice = np.repeat(np.array([[0.0, 0.2, 5.0]]), 2, axis=0)
        observations = observe(twice, centers, noise=1e-4, rng=rng)
        matches = np.concatenate([chain(2, 4), [[3, 4]]])
        _, point_of = triangulate(observations, matches, 1.0)
        for point in range(point_of.max() + 1):
            views = observations.views[point_of == point]
            assert len(np.unique(views)) == len(views)


def test_link_tracks_joins_what_is_connected():
    tracks = link_tracks(np.array([[0, 3], [3, 4], [1, 2]]), 6)
    assert tracks[0] == tracks[3] == tracks[4]
    assert tracks[1] == tracks[2]
    assert len(set(tracks)) == 3
