"""Splitting a large place: where it is cut, how many parts it has, and that nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.datasets import Frame
from aceg_ros.errors import FitError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.worlds import look
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.mapping.parts import parts_needed, split

CAMERA = Camera.pinhole(64, 48, 50.0, 50.0, 31.5, 23.5)


def frames_at(places, yaw=None) -> list[Frame]:
    yaw = np.arange(len(places)) * 1.3 if yaw is None else yaw
    poses = [look(np.asarray(place), float(y), 0.0) for place, y in zip(places, yaw, strict=True)]
    return [Frame(f'{i:04d}', CAMERA, np.zeros, pose) for i, pose in enumerate(poses)]


def rooms(count: int, per_room: int = 30, pitch=(6.0, 0.0, 0.0), seed: int = 0) -> list[Frame]:
    """Views all over rooms of 3 x 3 m in a row, room after room."""
    rng = np.random.default_rng(seed)
    corners = np.repeat(np.arange(count), per_room)[:, None] * np.array(pitch)
    return frames_at(corners + rng.uniform(0, 3, (count * per_room, 3)) * [1, 1, 0.1])


def corridor(length: float, step: float) -> list[Frame]:
    along = np.arange(0, length, step)
    return frames_at(np.stack([along, 0 * along, 0 * along + 1.5], axis=1), yaw=0 * along)


def names(part) -> set[str]:
    return {frame.name for frame in part.frames}


class TestSplit:
    @pytest.mark.parametrize('pitch', [(6.0, 0.0, 0.0), (0.0, 6.0, 0.0), (0.0, 0.0, 6.0)])
    def test_cuts_between_rooms_and_floors(self, pitch):
        frames = rooms(6, pitch=pitch)
        parts = split(frames, 6, 'office')
        assert [len(part.frames) for part in parts] == [30] * 6
        for number, part in enumerate(parts):
            assert part.frames == frames[30 * number : 30 * (number + 1)]

    def test_a_corridor_is_cut_across(self):
        frames = corridor(200.0, 0.5)
        parts = split(frames, 4, 'corridor')
        spans = [np.ptp([frame.world_from_cam[0, 3] for frame in part.frames]) for part in parts]
        assert max(spans) < 75.0
        assert set().union(*map(names, parts)) == {frame.name for frame in frames}

    def test_neighbors_overlap_at_a_border(self):
        first, second = split(corridor(100.0, 0.5), 2, 'corridor')
        shared = names(first) & names(second)
        assert 10 <= len(shared) <= 30
        where = [f.world_from_cam[0, 3] for f in first.frames if f.name in shared]
        assert np.ptp(where) < 15.0

    def test_is_the_same_everywhere(self):
        frames = rooms(5)
        once, again = split(frames, 3, 'office'), split(rooms(5), 3, 'office')
        assert [(p.name, p.place) for p in once] == [(p.name, p.place) for p in again]
        assert list(map(names, once)) == list(map(names, again))

    def test_parts_share_a_place_that_no_other_split_has(self):
        places = [
            {part.place for part in split(frames, count, 'office')}
            for frames, count in ((rooms(5), 3), (rooms(5), 4), (rooms(5, seed=1), 3))
        ]
        assert all(len(each) == 1 for each in places)
        assert len(set().union(*places)) == 3

    def test_names(self):
        parts = split(rooms(12), 12, 'office')
        assert [part.name for part in parts][:2] == ['office-01-of-12', 'office-02-of-12']

    def test_images_without_a_pose_are_in_one_part(self):
        frames = rooms(3)
        frames[40] = replace(frames[40], world_from_cam=None)
        parts = split(frames, 3, 'office')
        assert [frames[40] in part.frames for part in parts].count(True) == 1

    def test_too_many_parts(self):
        with pytest.raises(FitError, match='30 images with poses do not make 7 parts of 5 or more'):
            split(rooms(1), 7, 'office')

    def test_a_part_that_would_be_too_small(self):
        """The gaps are where the cuts leave few."""
        along = np.arange(28.0) + 50.0 * np.searchsorted([9, 15, 19], np.arange(28), side='right')
        frames = frames_at(np.stack([along, 0 * along, 0 * along], axis=1), yaw=0 * along)
        with pytest.raises(FitError, match='one of 5 parts would have 4 images, and 5 are needed'):
            split(frames, 5, 'office')


class TestPartsNeeded:
    OPTIONS = MappingOptions(max_keyframes=100, part_keyframes=60)

    def test_a_room_is_one(self):
        assert parts_needed(rooms(1, 100), self.OPTIONS) == 1

    def test_a_long_video_of_a_room_is_one(self):
        """A camera that comes by the same views again and again."""
        turning = np.arange(2000) * 0.05
        places = 0.1 * np.stack([np.cos(turning), np.sin(turning), 0 * turning], axis=1)
        assert parts_needed(frames_at(places, yaw=turning), self.OPTIONS) == 1

    def test_a_corridor_has_as_many_as_its_views_need(self):
        assert parts_needed(corridor(200.0, 0.5), self.OPTIONS) == 7  # 400 views
        assert parts_needed(corridor(200.0, 0.05), self.OPTIONS) == 12  # 667 different ones

    def test_images_without_poses(self):
        frames = [replace(frame, world_from_cam=None) for frame in rooms(10)]
        assert parts_needed(frames, self.OPTIONS) == 1
