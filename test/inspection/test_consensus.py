"""Frames whose pose disagrees with all that see the same are found, and no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.inspection.agreement import Pair
from aceg_ros.inspection.consensus import find_consensus
from aceg_ros.inspection.matching import RayMatches
from aceg_ros.inspection.views import compare_neighbors
from aceg_ros.monitor import Monitor

TURN = make_pose(so3_exp([0.0, 0.9, 0.3]), [0.8, 0.3, -0.4])


def found(compared, change):
    poses = compared.poses.copy()
    change(poses)
    return find_consensus(compared.pairs, poses)


def test_right_poses_are_all_kept(compared):
    consensus = find_consensus(compared.pairs, compared.poses)
    assert (consensus.lost, consensus.jumps) == ([], [])
    assert consensus.median > 0.9


@pytest.mark.parametrize('index', [0, 9, 27])
def test_a_single_wrong_pose(compared, index):
    def change(poses):
        poses[index] = poses[index] @ TURN

    assert found(compared, change).lost == [index]


def test_identity_while_tracking_was_lost(compared):
    def change(poses):
        poses[10:15] = np.eye(4)

    consensus = found(compared, change)
    assert consensus.lost == [10, 11, 12, 13, 14]
    assert np.nanmax(consensus.agreement[10:15]) < 0.35


def test_poses_that_are_frozen(compared):
    """The first ones of a frozen run are still right, the others are not."""

    def change(poses):
        poses[10:16] = poses[10]

    lost = found(compared, change).lost
    assert set(lost) <= set(range(11, 16))
    assert {13, 14, 15} <= set(lost)


def test_a_stretch_that_is_elsewhere(compared):
    def change(poses):
        poses[12:17] = TURN @ poses[12:17]
        poses[12:17] = poses[12:17] @ TURN

    assert found(compared, change).lost == [12, 13, 14, 15, 16]


def test_a_jump_in_the_middle_is_named_and_nothing_left_out(compared):
    def change(poses):
        poses[14:] = TURN @ poses[14:]

    consensus = found(compared, change)
    assert consensus.jumps == [(13, 14)]
    assert consensus.lost == []


def test_blank_images_are_not_judged(views, compared):
    blank = np.full((240, 320, 3), 128, np.uint8)
    frames = list(views)
    frames[5] = replace(frames[5], load_image=lambda: blank)
    frames[6] = replace(frames[6], load_image=lambda: blank, world_from_cam=np.eye(4))
    seen = compare_neighbors(frames, Monitor())
    consensus = find_consensus(seen.pairs, seen.poses)
    assert consensus.lost == []
    assert np.isnan(consensus.agreement[[5, 6]]).all()


def test_without_pairs_nothing_is_said():
    consensus = find_consensus([], np.tile(np.eye(4), (4, 1, 1)))
    assert (consensus.lost, consensus.jumps) == ([], [])
    assert np.isnan(consensus.agreement).all()
    assert np.isnan(consensus.median)


def test_one_pair_convicts_nobody():
    rays = np.tile([[0.0, 0.0, 1.0]], (30, 1))
    turned = rays @ so3_exp([0.0, 0.5, 0.0]).T
    pair = Pair(0, 1, RayMatches(rays, turned))
    consensus = find_consensus([pair], np.tile(np.eye(4), (2, 1, 1)))
    assert len(consensus.lost) == 0


def test_frames_that_cannot_be_read_are_named(views):
    frames = list(views[:6])
    frames[1] = replace(frames[1], world_from_cam=None)
    frames[2] = replace(frames[2], world_from_cam=np.full((4, 4), np.nan))
    seen = compare_neighbors(frames, Monitor())
    assert len(seen.frames) == len(seen.poses) == len(seen.looks) == 4
    assert [entry.split(':')[0] for entry in seen.skipped] == [frames[1].name, frames[2].name]
