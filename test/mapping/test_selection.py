"""Which images of a long recording become keyframes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.datasets import Frame
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.worlds import look
from aceg_ros.mapping.selection import select_keyframes

CAMERA = Camera.pinhole(64, 48, 50.0, 50.0, 31.5, 23.5)
ALONG = np.linspace(0, 10, 101)  # m


def frames_at(along, yaw) -> list[Frame]:
    poses = [look(np.array([x, 0.0, 1.5]), float(y), 0.0) for x, y in zip(along, yaw, strict=True)]
    return [Frame(f'{i:04d}', CAMERA, np.zeros, pose) for i, pose in enumerate(poses)]


def positions(frames) -> np.ndarray:
    return np.array([frame.world_from_cam[0, 3] for frame in frames])


def longest_gap(frames) -> float:
    return float(np.diff(np.sort(positions(frames))).max())


def waiting(at: float, count: int, rng) -> list[Frame]:
    """A drive along a line, in which the robot waits for ``count`` images."""
    along = np.sort(np.concatenate([ALONG, np.full(count, at)]))
    along = along + 1e-3 * rng.standard_normal(len(along))
    return frames_at(along, 0.02 * rng.standard_normal(len(along)))


class TestSelectKeyframes:
    def test_a_short_recording_is_taken_as_it_is(self):
        frames = frames_at(ALONG, 0 * ALONG)
        assert select_keyframes(frames, 101) == frames

    def test_in_the_order_of_the_recording_and_none_twice(self):
        frames = waiting(3.0, 300, np.random.default_rng(0))
        names = [frame.name for frame in select_keyframes(frames, 60)]
        assert names == sorted(set(names))
        assert len(names) == 60

    @pytest.mark.parametrize('at', [0.0, 3.0, 10.0])
    def test_a_robot_that_waits_has_its_path_covered(self, at):
        frames = waiting(at, 900, np.random.default_rng(1))
        evenly = frames[:: len(frames) // 39]
        assert longest_gap(select_keyframes(frames, 40)) < 0.3 * longest_gap(evenly)

    def test_views_to_all_sides_of_one_place(self):
        """The camera turns once for a moment, while it moves along for long."""
        along = np.concatenate([ALONG, np.full(36, 10.0), 10 - ALONG])
        yaw = np.concatenate([0 * ALONG, np.linspace(0, 2 * np.pi, 36), 0 * ALONG])
        chosen = select_keyframes(frames_at(along, yaw), 48)
        ahead = np.array([frame.world_from_cam[:2, 2] for frame in chosen])
        angles = np.sort(np.degrees(np.arctan2(ahead[:, 1], ahead[:, 0])) % 360)
        assert np.diff(angles).max() < 45

    def test_lost_tracking_takes_no_more_than_half(self):
        """A tenth of the poses is all over the place, and so farthest from all others."""
        frames = frames_at(np.tile(ALONG, 4), np.zeros(404))
        rng = np.random.default_rng(2)
        lost = set(range(200, 240))
        frames = [
            replace(frame, world_from_cam=look(rng.uniform(-50, 50, 3), rng.uniform(-3, 3), 0.0))
            if index in lost
            else frame
            for index, frame in enumerate(frames)
        ]
        right = [frame for frame in select_keyframes(frames, 40) if int(frame.name) not in lost]
        assert len(right) >= 18
        assert longest_gap(right) < 2.5

    def test_frames_without_a_pose_only_where_there_is_room(self):
        frames = frames_at(ALONG, 0 * ALONG)
        without = [replace(frame, world_from_cam=None) for frame in frames[:50]]
        assert all(
            frame.world_from_cam is not None
            for frame in select_keyframes(without + frames[50:], 40)
        )
        chosen = select_keyframes(without + frames[50:], 60)
        assert sum(frame.world_from_cam is None for frame in chosen) == 9

    def test_a_camera_that_neither_moves_nor_turns(self):
        chosen = select_keyframes(frames_at(np.zeros(50), np.zeros(50)), 20)
        assert len({frame.name for frame in chosen}) == 20
