"""The filter of poses: honest covariances help, and gaps are bridged."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from aceg_ros.datasets.base import Frame
from aceg_ros.evaluation.figures.filter import draw_filter
from aceg_ros.evaluation.filter import compare, filtered, odometry
from aceg_ros.evaluation.metrics import FrameResult
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, pose_error, so3_exp
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason

CAMERA = Camera.pinhole(64, 48, 50.0, 50.0, 31.5, 23.5)
COUNT, PERIOD = 120, 0.1


def truth(index):
    """A camera on a circle of a meter, looking about."""
    angle = 0.5 * PERIOD * index
    turn = so3_exp([0.0, 0.3 * np.sin(angle), angle])
    return make_pose(turn, [np.cos(angle), np.sin(angle), 1.0])


def blank():
    return np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def trajectory(rng, honest=True, missing=()):
    """Poses of which every fourth is off by ten times as much as the others."""
    results = []
    for index in range(COUNT):
        pose = truth(index)
        scale = 10.0 if index % 4 == 0 else 1.0
        std = scale * np.array([0.01] * 3 + [0.005] * 3)
        step = rng.normal(size=6) * std
        estimate = make_pose(so3_exp(step[3:]) @ pose[:3, :3], pose[:3, 3] + step[:3])
        covariance = np.diag(std**2 if honest else np.full(6, 1e-4))
        none = np.zeros((0, 3))
        answer: Localization | LocalizationFailure = Localization(
            estimate, covariance, none[:, :2], none, none[:, 0], none[:, 0] > 0
        )
        if index in missing:
            answer = LocalizationFailure(Reason.NO_POSE, 'none')
        frame = Frame(f'{index:03d}', CAMERA, blank, pose, stamp=PERIOD * index)
        meters = float(np.linalg.norm(step[:3]))
        results.append(FrameResult(frame, pose, answer, 0.0, meters, 0.0))
    return results


def test_honest_covariances_do_better_than_fixed_ones(rng):
    own, fixed, fitted = compare(trajectory(rng))
    assert own.rms[0] < 0.7 * min(fixed.rms[0], fitted.rms[0])
    assert own.rms[1] < 0.8 * min(fixed.rms[1], fitted.rms[1])


def test_normalized_error_is_about_one(rng):
    own = compare(trajectory(rng))[0]
    assert 0.8 < own.normalized.mean() / 6 < 1.25


def test_filter_is_better_than_the_poses_it_is_fed_with(rng):
    results = trajectory(rng)
    alone = np.sqrt(np.mean([result.meters**2 for result in results]))
    assert compare(results)[0].rms[0] < 0.5 * alone


def test_gaps_are_bridged_and_grow_uncertain(rng):
    results = trajectory(rng, missing=range(60, 70))
    own = compare(results)[0]
    assert own.errors.shape == (10, COUNT, 6)
    assert own.deviations[69, 0] > 1.5 * own.deviations[59, 0]
    assert np.linalg.norm(own.errors[:, 69, :3], axis=1).max() < 0.1


def test_begins_with_the_first_pose(rng):
    poses = [None, truth(1), truth(2)]
    steps = odometry([truth(index) for index in range(3)], np.random.default_rng(0))
    states = filtered(poses, [np.eye(6)] * 3, steps)
    assert states[0] is None
    np.testing.assert_allclose(states[1].world_from_cam, truth(1))


def test_odometry_is_off_by_what_it_says(rng):
    poses = [truth(index) for index in range(COUNT)]
    steps = odometry(poses, rng)
    true = [inverse(before) @ after for before, after in pairwise(poses)]
    off = [pose_error(step.cam_from_next, each) for step, each in zip(steps, true, strict=True)]
    meters, degrees = np.array(off).T
    claimed = np.array([step.deviation for step in steps])
    # The mean square of three independent errors is three times that of one.
    np.testing.assert_allclose(np.mean(meters**2), 3 * np.mean(claimed[:, 0] ** 2), rtol=0.25)
    radians = np.radians(degrees)
    np.testing.assert_allclose(np.mean(radians**2), 3 * np.mean(claimed[:, 1] ** 2), rtol=0.25)


def test_picture(tmp_path, rng):
    results = trajectory(rng, missing=[0, 50])
    draw_filter(tmp_path / 'filter.png', results, compare(results))
    assert (tmp_path / 'filter.png').stat().st_size > 10_000
