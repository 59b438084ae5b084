"""How answers to traps are counted, alone and behind the filter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import CAMERA, FakeLocalizer, moved, numbered_frames, scene_frames

from aceg_ros.errors import DatasetError
from aceg_ros.lab.traps.sheet import draw_sheet
from aceg_ros.lab.traps.trials import AS_IT_IS, Trap, answers, spring, traps, twin_rooms

NEAR, FAR = np.array([0.02, 0, 0, 0, 0, 0]), np.array([3.0, 0, 0, 0, 0, 0])
COVARIANCE = 1e-4 * np.eye(6)


def still(count: int):
    """Numbered frames at one place."""
    first = numbered_frames(1)[0]
    return [replace(f, world_from_cam=first.world_from_cam) for f in numbered_frames(count)]


def sprung(estimates, trap, clean):
    localizer = FakeLocalizer(estimates, COVARIANCE)
    return spring(localizer, trap, answers(localizer, clean))


class TestCounts:
    def test_right_wrong_and_refused(self):
        frames = still(6)
        truth = frames[0].world_from_cam
        estimates = [truth, moved(truth, NEAR), moved(truth, FAR), None, truth, truth]
        trap = Trap('some', frames)
        counts = sprung(estimates, trap, frames).counts()
        assert counts['images'] == 6
        assert (counts['right'], counts['wrong'], counts['refused']) == (4, 1, 1)
        assert counts['solvable']

    def test_the_filter_keeps_a_jump_out(self):
        frames = still(6)
        truth = frames[0].world_from_cam
        estimates = [truth, truth, moved(truth, FAR), truth, truth, truth]
        counts = sprung(estimates, Trap('jump', frames), frames).counts()
        assert (counts['wrong'], counts['wrong, filtered']) == (1, 0)
        assert (counts['right'], counts['right, filtered']) == (5, 5)

    def test_any_pose_is_wrong_where_none_is_right(self):
        frames = still(5)
        estimates = [f.world_from_cam for f in frames[:3]] + [None, None]
        asked = [replace(frame, world_from_cam=None) for frame in frames]
        counts = sprung(estimates, Trap('none', asked), frames).counts()
        assert (counts['right'], counts['wrong'], counts['refused']) == (0, 3, 2)
        assert not counts['solvable']


class TestTraps:
    def test_all_have_the_images_asked_for(self):
        queries, strangers = scene_frames(3), numbered_frames(2)
        made = list(traps(queries, strangers))
        assert made[0].name == AS_IT_IS
        assert len({trap.name for trap in made}) == len(made) >= 16
        for trap in made:
            assert len(trap.frames) == 3
            assert trap.frames[1].image().shape == (CAMERA.height, CAMERA.width, 3)

    def test_deceptions_have_no_right_answer(self):
        made = {trap.name: trap for trap in traps(scene_frames(2), numbered_frames(2))}
        for name in ('another place', 'mirrored', 'blank wall', 'the place on a screen elsewhere'):
            assert made[name].frames[0].world_from_cam is None
        for name in ('motion blur', 'person in front', 'other light'):
            assert made[name].frames[0].world_from_cam is not None

    def test_depth(self):
        """Of the place, of the stranger, of a flat screen, and of the place in a mirror."""
        near, far = (np.full((CAMERA.height, CAMERA.width), z, np.float32) for z in (1.0, 9.0))
        near[:, 0] = 2.0
        queries = [replace(frame, load_depth=lambda: near) for frame in scene_frames(2)]
        strangers = [replace(frame, load_depth=lambda: far) for frame in numbered_frames(2)]
        made = {trap.name: trap.frames[0].registered_depth() for trap in traps(queries, strangers)}
        np.testing.assert_array_equal(made['motion blur'], near)
        np.testing.assert_array_equal(made['another place'], far)
        np.testing.assert_array_equal(made['mirrored'], near[:, ::-1])
        screen = made['the place on a screen elsewhere']
        assert len(np.unique(screen)) == 2
        assert 0.2 < (screen < 9.0).mean() < 0.8
        assert 0.7 <= screen.min() <= 2.5

    def test_depth_of_places_without(self):
        made = {trap.name: trap.frames[0] for trap in traps(scene_frames(1), numbered_frames(1))}
        assert not made['another place'].registered_depth().any()
        assert not made['motion blur'].registered_depth().any()

    def test_strangers_are_needed(self):
        with pytest.raises(DatasetError, match='name another dataset'):
            next(traps(scene_frames(2), []))


def test_twins_stand_apart():
    frames = scene_frames(6)
    doubled, trap = twin_rooms(frames, frames[:2])
    centers = np.array([frame.world_from_cam[:3, 3] for frame in doubled])
    assert np.linalg.norm(centers[6:] - centers[:6], axis=1) == pytest.approx(
        10.0 * np.ptp(centers[:6], axis=0).max()
    )
    assert (doubled[7].image() == doubled[1].image()).all()
    assert all(frame.world_from_cam is None for frame in trap.frames)


def test_sheet_shows_the_wrong_ones_first():
    frames = still(7)
    truth = frames[0].world_from_cam
    estimates = [truth] * 6 + [moved(truth, FAR)]
    outcome = sprung(estimates, Trap('jump', frames), frames)
    sheet = draw_sheet([outcome, outcome])
    assert sheet.shape[1] == 5 * 240
    caption = sheet[20 + 180 : 20 + 180 + 20]
    red = (caption[..., 0] > 150) & (caption[..., 1] < 100)
    assert red[:, :240].any()
    assert not red[:, 240:].any()
