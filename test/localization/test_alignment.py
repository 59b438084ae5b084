"""Alignment with landmarks: how far off a pose may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aceg_ros.geometry.poses import (
    inverse,
    make_pose,
    pose_error,
    shifted,
    so3_exp,
    transform_points,
)
from aceg_ros.landmarks.templates import find_planar_patches, planar_patches
from aceg_ros.localization import alignment
from aceg_ros.localization.alignment import align
from aceg_ros.localization.options import LandmarkOptions, UncertaintyOptions
from aceg_ros.localization.views import View, first_matches
from aceg_ros.pose.covariance import Linearized
from aceg_ros.pose.matches import Matches
from aceg_ros.pose.refine import RefinedPose
from aceg_ros.readers.base import ImagePatches, Prediction

OPTIONS = LandmarkOptions()
PIXELS = 6.0  # more than the reach of the first search


@pytest.fixture(scope='module')
def landmarks(mapped):
    return planar_patches(mapped.code.landmarks, mapped.code.keyframes)


@pytest.fixture(scope='module')
def truth(mapped, queries):
    return shifted(queries[2].world_from_cam, -np.array(mapped.code.info.origin))


def aligned(queries, landmarks, start, options=OPTIONS):
    """A pose aligned by landmarks: its matches are wherever the start puts them, and vague."""
    query = queries[2]
    points_cam = transform_points(inverse(start), landmarks.centers.astype(float))
    pixels = query.camera.project(points_cam)
    seen = ((pixels > 0) & (pixels < (query.camera.width, query.camera.height))).all(axis=1)
    seen_by_patches = Matches(
        query.camera.rays(pixels[seen]),
        pixels[seen],
        landmarks.centers[seen].astype(float),
        np.full(int(seen.sum()), 100.0),
    )
    patches = ImagePatches(
        torch.zeros(0, 1), np.zeros((0, 3)), np.zeros((0, 2)), query.camera, torch.zeros(1, 1, 1), 8
    )
    view = View(query.image(), patches, Prediction(seen_by_patches), np.eye(4))
    matches = first_matches([view])
    count = len(matches)
    nothing = Linearized(np.zeros((6, 2, count)), np.zeros((2, count)), np.ones(count), 1.0, 0.0)
    pose = RefinedPose(start, np.eye(6), np.ones(count, bool), nothing)
    return align([view], [landmarks], pose, matches, np.ones(1, bool), options)


def turned(truth, queries, pixels):
    angle = pixels / queries[2].camera.focal
    return truth @ make_pose(so3_exp([0.0, angle, 0.0]), [0.0, 0.0, 0.0])


def test_a_near_pose_is_made_exact(queries, landmarks, truth):
    found = aligned(queries, landmarks, turned(truth, queries, 1.5))
    assert found.redetected_ratio > 0.3
    assert pose_error(found.pose.world_from_cam, truth)[0] < 0.03


def test_a_pose_beyond_the_first_reach_is_found_too(queries, landmarks, truth):
    start = turned(truth, queries, PIXELS)
    short = replace(OPTIONS, far_reach=OPTIONS.reach)
    before = aligned(queries, landmarks, start, short)
    found = aligned(queries, landmarks, start)
    assert found.redetected_ratio > 2 * before.redetected_ratio
    assert pose_error(found.pose.world_from_cam, truth)[0] < 0.03


def test_a_pose_elsewhere_agrees_with_no_more_than_chance(queries, landmarks, truth):
    start = turned(truth, queries, 300.0)
    found = aligned(queries, landmarks, start)
    assert found.redetected_ratio < UncertaintyOptions().chance_redetected


def test_a_pose_stays_as_it_is_where_too_few_agree(queries, landmarks, truth):
    start = turned(truth, queries, 300.0)
    strict = replace(OPTIONS, min_redetected=UncertaintyOptions().chance_redetected)
    found = aligned(queries, landmarks, start, strict)
    assert not found.aligned
    assert found.pose.world_from_cam == pytest.approx(start)


def test_a_second_look_that_finds_too_few_changes_nothing(queries, landmarks, truth, monkeypatch):
    kept = iter([0, None, 10])  # landmarks found near, then farther away, then near that

    def find(*arguments):
        found, count = find_planar_patches(*arguments), next(kept)
        return replace(
            found,
            index=found.index[:count],
            points2d=found.points2d[:count],
            similarity=found.similarity[:count],
        )

    monkeypatch.setattr(alignment, 'find_planar_patches', find)
    start = turned(truth, queries, PIXELS)
    found = aligned(queries, landmarks, start)
    assert next(kept, 'all used') == 'all used'
    assert len(found.pose.inliers) == len(found.matches)
    assert found.pose.world_from_cam == pytest.approx(start)
