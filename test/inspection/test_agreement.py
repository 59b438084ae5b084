"""Poses agree with pairs of images, or do not."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import compose, inverse, make_pose, so3_exp, transform_points
from aceg_ros.inspection.agreement import Pair, arc_errors, make_pair
from aceg_ros.inspection.matching import Features, RayMatches, find_features, match_features

FIRST = make_pose(np.eye(3), np.zeros(3))
SECOND = make_pose(so3_exp([0.1, -0.2, 0.05]), [0.4, 0.1, -0.1])


@pytest.fixture
def matches():
    """What two cameras see of points 2 to 6 m away."""
    points = np.random.default_rng(0).uniform([-2, -1.5, 2], [2, 1.5, 6], (200, 3))
    rays = [transform_points(inverse(pose), points) for pose in (FIRST, SECOND)]
    return RayMatches(*(r / np.linalg.norm(r, axis=1, keepdims=True) for r in rays))


def degrees(matches, first, second):
    return np.degrees(arc_errors(matches, compose(inverse(second), first)))


class TestArcErrors:
    def test_right_poses_leave_none(self, matches):
        assert degrees(matches, FIRST, SECOND).max() < 1e-5

    def test_the_unit_of_length_makes_no_difference(self, matches):
        for factor in (0.001, 3.0, 1000.0):
            scaled = SECOND.copy()
            scaled[:3, 3] *= factor
            assert degrees(matches, FIRST, scaled).max() < 1e-5

    def test_a_turn_shows_as_much_as_it_is(self, matches):
        turned = SECOND @ make_pose(so3_exp([0, 0, np.radians(5.0)]), np.zeros(3))
        assert 0.5 < np.median(degrees(matches, FIRST, turned)) < 5.0

    def test_points_behind_do_not_pass(self, matches):
        """Epipolar lines are the same for the opposite baseline, places in front are not."""
        opposite = make_pose(SECOND[:3, :3], -SECOND[:3, 3])
        assert np.median(degrees(matches, FIRST, opposite)) > 2.0

    def test_standing_still_does_not_pass_where_images_move(self, matches):
        assert np.median(degrees(matches, FIRST, FIRST)) > 5.0

    def test_standing_still_passes_where_they_do_not(self, matches):
        still = RayMatches(matches.first, matches.first)
        assert degrees(still, FIRST, FIRST).max() < 1e-5


class TestPairs:
    def test_neighboring_views_agree(self, compared):
        shares = [pair.agreement(compared.poses) for pair in compared.pairs]
        assert len(shares) > len(compared.frames)
        assert np.median(shares) > 0.9

    def test_views_of_other_places_make_none(self, compared, views):
        blank = np.full((240, 320, 3), 90, np.uint8)
        nothing = find_features(blank, views[0].camera)
        something = find_features(views[0].image(), views[0].camera)
        assert len(nothing) == 0
        assert make_pair(0, 1, (nothing, something)) is None
        assert make_pair(0, 1, (something, nothing)) is None

    @pytest.mark.parametrize('size', [(1, 1), (2, 700), (700, 2), (31, 31), (5000, 8)])
    def test_images_of_odd_sizes_have_none_or_few(self, size):
        width, height = size
        camera = Camera.pinhole(width, height, 100.0, 100.0, width / 2, height / 2)
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        assert len(find_features(image, camera)) == 0

    def test_noise_makes_none(self):
        camera = Camera.pinhole(320, 240, 262.0, 262.0, 160.0, 120.0)
        rng = np.random.default_rng(0)
        noise = [
            find_features(rng.integers(0, 256, (240, 320, 3), np.uint8), camera) for _ in range(2)
        ]
        assert make_pair(0, 1, (noise[0], noise[1])) is None

    def test_a_feature_that_two_others_claim_is_not_matched(self):
        random = np.random.default_rng(0).integers(0, 256, (3, 32), np.uint8)
        rays = np.eye(3)
        matches = match_features(
            Features(rays, random[[0, 0, 1]], 300.0), Features(rays, random, 300.0)
        )
        np.testing.assert_array_equal(matches.first, rays[2:])
        np.testing.assert_array_equal(matches.second, rays[1:2])

    def test_agreement_is_a_part(self, matches):
        half = RayMatches(
            matches.first, np.concatenate([matches.second[:100], -matches.second[100:]])
        )
        poses = np.stack([FIRST, SECOND])
        assert Pair(0, 1, half).agreement(poses) == pytest.approx(0.5)
