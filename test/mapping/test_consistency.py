"""Before a fit: conventions are named, and frames where tracking was lost left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.errors import FitError
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.geometry.poses import inverse, make_pose, so3_exp
from aceg_ros.localization.localizer import Localizer
from aceg_ros.mapping.consistency import consistent_frames
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.monitor import Monitor


def posed(frames, change):
    return [replace(f, world_from_cam=change(i, f.world_from_cam)) for i, f in enumerate(frames)]


def test_right_frames_all_stay(views):
    kept, left_out, notes = consistent_frames(views, Monitor())
    assert [frame.name for frame in kept] == [frame.name for frame in views]
    assert (left_out, notes) == ([], [])


def test_a_misread_convention_is_named(views):
    turned = posed(views, lambda _, pose: inverse(pose))
    with pytest.raises(FitError, match='--pose-convention camera-from-world'):
        consistent_frames(turned, Monitor())


def test_poses_that_belong_to_other_images_are_refused(views):
    rng = np.random.default_rng(0)
    order = rng.permutation(len(views))
    mixed = posed(views, lambda i, _: views[order[i]].world_from_cam)
    with pytest.raises(FitError, match='check that poses and images belong together'):
        consistent_frames(mixed, Monitor())


def test_blank_and_unreadable_frames_stay_for_others_to_name(views):
    blank = np.full((240, 320, 3), 128, np.uint8)
    frames = list(views)
    frames[5] = replace(frames[5], load_image=lambda: blank)
    frames[6] = replace(frames[6], world_from_cam=None)
    kept, left_out, notes = consistent_frames(frames, Monitor())
    assert len(kept) == len(frames)
    assert left_out == []
    assert any('show next to nothing' in note for note in notes)


def test_lost_frames_neither_spoil_the_map_nor_its_verdict(views, queries, engine, quick):
    """Two of them would have been held out to judge the map, which they would have called poor."""
    lost = range(9, 15)
    turn = make_pose(so3_exp([0.0, 1.5, 0.0]), [1.0, 0.0, 0.5])
    frames = posed(views, lambda i, pose: turn if i in lost else pose)
    result = map_scene(frames, engine, quick)
    named = [entry.split(':')[0] for entry in result.skipped]
    assert named == [views[i].name for i in lost]
    assert all('tracking was lost' in entry for entry in result.skipped)
    right = np.stack([f.world_from_cam for i, f in enumerate(frames) if i not in lost])
    for pose in result.code.keyframes:
        assert np.abs(right - pose).max(axis=(1, 2)).min() < 1e-9
    quality = result.code.info.quality
    assert quality.localized == quality.held_out
    evaluation = evaluate(Localizer(result.code, engine), queries)
    assert evaluation.summary()['localized'] >= 5
