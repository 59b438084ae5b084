"""Covariances hold: many draws of known errors, in strong and in weak geometries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.localization.alignment import AlignedPose
from aceg_ros.localization.options import UncertaintyOptions
from aceg_ros.localization.search import FoundPose
from aceg_ros.localization.uncertainty import Spacing, pose_uncertainty, with_rival
from aceg_ros.pose.consistency import mahalanobis2, pose_residual
from aceg_ros.pose.covariance import image_blocks
from aceg_ros.pose.matches import Matches, RigMatches
from aceg_ros.pose.refine import RefinedPose, refine_pose

CAMERA = Camera.pinhole(640, 480, 525.0, 525.0, 319.5, 239.5)
KEYFRAMES = 8
NOISE_PX = 0.5
ERRORS = UncertaintyOptions(
    keyframe_angle=2e-3,
    common_angle=1e-3,
    depth=0.02,
    bend=0.02,
    patch_part=0.5,
    chance_redetected=0.2,
)
NONE = UncertaintyOptions(**dict.fromkeys(vars(ERRORS), 0.0))
# Part of the image that has matches (left, top, right, bottom), distances, matches, meters from
# the mapped views.
GEOMETRIES = {
    'whole image': ((0, 0, 640, 480), (1.5, 4.0), 150, 0.2),
    'one plane': ((0, 0, 640, 480), (3.0, 3.0), 150, 0.2),
    'far away': ((0, 0, 640, 480), (20.0, 40.0), 150, 0.2),
    'one corner': ((0, 0, 240, 180), (1.5, 4.0), 150, 0.2),
    'few': ((0, 0, 640, 480), (1.5, 4.0), 15, 0.2),
    'half an image': ((0, 0, 320, 480), (1.5, 4.0), 150, 0.2),
    'from elsewhere': ((0, 0, 640, 480), (1.5, 4.0), 150, 1.5),
}


def keyframe_poses(rng, meters):
    """(KEYFRAMES, 4, 4), which look where the query does."""
    offset = np.array([meters, 0.0, 0.0])
    return np.stack(
        [make_pose(np.eye(3), offset + rng.normal(size=3) * 0.3) for _ in range(KEYFRAMES)]
    )


def scene(rng, geometry, options):
    """Rays from a camera at the origin, points with errors of ``options``, owners, keyframes."""
    corners, depths, count, meters = GEOMETRIES[geometry]
    pixels = rng.uniform(corners[:2], corners[2:], (count, 2))
    rays = CAMERA.rays(pixels)
    points3d = rays / rays[:, 2:] * rng.uniform(*depths, (count, 1))
    keyframes = keyframe_poses(rng, meters)
    # Neighbors are often of one keyframe.
    owner = (pixels[:, 0] // 80 + rng.integers(0, 3, count)).astype(np.int64) % KEYFRAMES
    towards = points3d - keyframes[owner, :3, 3]
    blocks = image_blocks(rays, np.zeros(count, np.int64))
    common = rng.normal(size=3) * options.common_angle
    turns = rng.normal(size=(KEYFRAMES, 3)) * options.keyframe_angle + common
    scales = rng.normal(size=(KEYFRAMES, blocks.max() + 1)) * options.depth
    # The keyframes' axes are the world's.
    across = towards[:, :2] / np.linalg.norm(towards, axis=1, keepdims=True)
    bend = np.column_stack([np.ones(count), 2 * across]) @ rng.normal(size=3) * options.bend
    farther = (scales[owner, blocks] + bend)[:, None]
    wrong = points3d + np.cross(turns[owner], towards) + towards * farther
    measured = CAMERA.rays(pixels + rng.normal(size=pixels.shape) * NOISE_PX)
    return seen(measured, pixels, wrong, np.full(count, 1e-3)), owner, keyframes


def seen(*columns):
    return RigMatches.of([Matches(*columns)], np.eye(4)[None], np.array([CAMERA.focal]))


def refined(matches):
    sigma = np.full(len(matches), NOISE_PX)
    start = make_pose(np.eye(3), np.zeros(3))
    found = refine_pose(
        start, matches.rays, matches.points3d, sigma, CAMERA.focal, 60.0, floor_px=0.1
    )
    assert found is not None
    return found


def aligned_pose(rng, geometry, options):
    """A pose that landmarks determine, all of which were found again."""
    matches, owner, keyframes = scene(rng, geometry, options)
    pose = refined(matches)
    aligned = AlignedPose(pose, matches, 1.0, owner, aligned=True)
    return aligned, FoundPose(pose, matches, 1.0, np.ones(1), np.ones(1, bool)), keyframes


def normalized_errors(geometry, known, draws=30):
    """Of poses at the origin, over their degrees of freedom."""
    values = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        aligned, searched, keyframes = aligned_pose(rng, geometry, ERRORS)
        covariance = pose_uncertainty(aligned, searched, keyframes, known)
        error = pose_residual(np.eye(4), aligned.pose.world_from_cam)
        values.append(mahalanobis2(error, covariance))
    return np.array(values)


@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_ellipsoid_holds(geometry):
    normalized = normalized_errors(geometry, replace(ERRORS, chance_redetected=0.0))
    assert (normalized < chi2.ppf(0.95, 6)).mean() >= 0.9
    assert normalized.mean() / 6 > 0.15  # nor is it empty talk


@pytest.mark.parametrize('geometry', ['whole image', 'from elsewhere'])
def test_residuals_alone_do_not_tell(geometry):
    """What all points share is not seen in one image."""
    normalized = normalized_errors(geometry, NONE)
    assert (normalized < chi2.ppf(0.95, 6)).mean() < 0.9


def test_uncertain_from_elsewhere_is_the_direction_that_depth_errors_show_in():
    """Points along a keyframe's axis, seen from its side: their depth moves them sideways."""
    only_depth = replace(NONE, depth=0.02)
    stds = []
    for geometry in ('whole image', 'from elsewhere'):
        aligned, searched, keyframes = aligned_pose(np.random.default_rng(0), geometry, NONE)
        stated = pose_uncertainty(aligned, searched, keyframes, only_depth)
        without = pose_uncertainty(aligned, searched, keyframes, NONE)
        stds.append(np.sqrt(np.diag(stated - without)[:3]))
    assert (stds[1] > 2 * stds[0]).all()


def test_few_landmarks_leave_a_pose_as_uncertain_as_before():
    aligned, searched, keyframes = aligned_pose(np.random.default_rng(0), 'whole image', ERRORS)
    coarse = replace(
        searched, matches=replace(searched.matches, sigma=np.full(len(searched.matches), 0.2))
    )

    def std(redetected):
        found = replace(aligned, redetected_ratio=redetected)
        covariance = pose_uncertainty(found, coarse, keyframes, ERRORS)
        return np.sqrt(np.trace(covariance[:3, :3]))

    by_patches = AlignedPose.by_patches(coarse.pose, coarse.matches, 0.0)
    before = np.sqrt(np.trace(pose_uncertainty(by_patches, coarse, keyframes, ERRORS)[:3, :3]))
    assert std(0.1) >= before
    assert std(0.3) < 0.6 * before
    assert std(0.9) < std(0.3)


def test_patches_err_with_their_neighbors():
    """The error of sixteen parts of the image does not vanish, however many patches there are."""
    stds = []
    for count in (150, 1500):
        rng = np.random.default_rng(0)
        pixels = rng.uniform(0, (640, 480), (count, 2))
        rays = CAMERA.rays(pixels + rng.normal(size=pixels.shape) * NOISE_PX)
        points3d = CAMERA.rays(pixels) * rng.uniform(1.5, 4.0, (count, 1))
        matches = seen(rays, pixels, points3d, np.full(count, 0.1))
        pose = refined(matches)
        found = AlignedPose.by_patches(pose, matches, 0.0)
        searched = FoundPose(pose, matches, 1.0, np.ones(1), np.ones(1, bool))
        covariance = pose_uncertainty(found, searched, keyframe_poses(rng, 0.2), ERRORS)
        stds.append(np.sqrt(np.trace(covariance[:3, :3])))
    assert stds[1] > 0.6 * stds[0]


def test_a_rival_spreads_the_covariance_towards_it():
    pose = make_pose(np.eye(3), [1.0, 0.0, 0.0])
    rival = make_pose(so3_exp([0.0, 0.0, 0.5]), [1.0, 3.0, 0.0])
    spread = with_rival(1e-4 * np.eye(6), pose, rival, 0.25)
    assert np.sqrt(spread[1, 1]) == pytest.approx(1.5, rel=1e-3)
    assert np.sqrt(spread[5, 5]) == pytest.approx(0.25, rel=1e-2)
    assert spread[0, 0] == pytest.approx(1e-4)
    assert mahalanobis2(pose_residual(rival, pose), spread) < 4.1


def test_pose_that_patches_give_is_that_of_the_search():
    aligned, searched, keyframes = aligned_pose(np.random.default_rng(0), 'few', ERRORS)
    by_patches = AlignedPose.by_patches(searched.pose, searched.matches, 0.3)
    covariance = pose_uncertainty(by_patches, searched, keyframes, ERRORS)
    assert np.linalg.eigvalsh(covariance)[0] > 0
    assert isinstance(aligned.pose, RefinedPose)


class TestSpacing:
    """Keyframes 10 cm apart, 2 m from what they see."""

    LINE = np.stack([make_pose(np.eye(3), [0.1 * index, 0.0, 0.0]) for index in range(20)])
    ONE = np.zeros(20, np.uint8)

    @pytest.mark.parametrize(
        ('meters', 'degrees', 'expected'),
        [(0.1, 0.0, 1.0), (0.05, 0.0, 0.25), (0.2, 0.0, 2.0), (0.0, np.degrees(0.05), 1.0)],
    )
    def test_grows_with_the_distance(self, meters, degrees, expected):
        spacing = Spacing(self.LINE, self.ONE, 2.0)
        assert spacing.factor(meters / 2.0, np.radians(degrees)) == pytest.approx(expected)

    def test_bounds(self):
        spacing = Spacing(self.LINE, self.ONE, 2.0)
        assert spacing.factor(0.0, 0.0) == 0.25**2
        assert spacing.factor(5.0, 1.0) == 3.0

    def test_another_session_along_the_same_way_changes_nothing(self):
        beside = self.LINE.copy()
        beside[:, 1, 3] += 0.005
        both = Spacing(np.concatenate([self.LINE, beside]), np.repeat([0, 1], 20), 2.0)
        assert both.factor(0.1, 0.0) == Spacing(self.LINE, self.ONE, 2.0).factor(0.1, 0.0)

    @pytest.mark.parametrize('count', [0, 1])
    def test_of_few_keyframes_nothing_is_known(self, count):
        assert Spacing(self.LINE[:count], self.ONE[:count], 2.0).factor(5.0, 1.0) == 1.0

    def test_nothing_is_known_of_the_view(self):
        assert Spacing(self.LINE, self.ONE, 2.0).factor(np.nan, np.nan) == 1.0

    def test_what_held_out_views_show_holds_near_keyframes(self):
        spacing = Spacing(self.LINE, self.ONE, 2.0)
        near, beside, far = (spacing.scale(0.2, meters / 2.0, 0.0) for meters in (0.03, 0.1, 0.25))
        assert (near, beside) == pytest.approx((0.2, 0.2))
        assert far == pytest.approx(1 - 0.8 / 2.5**2)
        assert spacing.scale(1.0, 5.0, 1.0) == 1.0
