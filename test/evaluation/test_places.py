"""Figures of a place in parts: one part that the images show, one of nowhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.errors import DatasetError
from aceg_ros.evaluation.places import evaluate_place, simulate_ranking
from aceg_ros.geometry.poses import shifted
from aceg_ros.landmarks.landmarks import Landmarks
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.several import MapSet


@pytest.fixture(scope='module')
def maps(mapped, engine) -> MapSet:
    """The room, and 50 m away a part whose images looked like none of it."""
    rng = np.random.default_rng(0)
    info = replace(mapped.code.info, place='office')
    unlike = rng.normal(size=mapped.code.descriptors.shape).astype(np.float32)
    elsewhere = replace(
        mapped.code,
        info=info,
        anchors=mapped.code.anchors[rng.permutation(len(mapped.code.anchors))],
        landmarks=Landmarks.none(),
        keyframes=shifted(mapped.code.keyframes, [50.0, 0.0, 0.0]),
        recorded=shifted(mapped.code.recorded, [50.0, 0.0, 0.0]),
        descriptors=unlike / np.linalg.norm(unlike, axis=1, keepdims=True),
    )
    codes = {'elsewhere': elsewhere, 'room': replace(mapped.code, info=info)}
    return MapSet({name: Localizer(code, engine) for name, code in codes.items()}, remember=False)


def test_what_was_found(maps, queries):
    found = evaluate_place(maps, queries[::3])
    assert (found.parts, found.queries) == (2, 3)
    assert found.keyframes == 2 * len(maps.localizers['room'].code.keyframes)
    assert found.right_part == {1: 1.0, 2: 1.0, 3: 1.0}
    assert found.right == found.alone == 1.0
    assert (found.wrong, found.wrong_alone, found.ambiguous) == (0, 0, 0)
    assert found.ms_alone > 0
    assert found.ms < 10 * found.ms_alone


def test_wrong_poses_are_counted(maps, queries):
    """What is said to be true is a meter off."""
    wrong = [
        replace(query, world_from_cam=shifted(query.world_from_cam, [0.0, 0.0, 1.0]))
        for query in queries[::3]
    ]
    found = evaluate_place(maps, wrong)
    assert (found.right, found.wrong, found.wrong_alone) == (0.0, 3, 3)


def test_ten_times_as_many_parts(maps, queries):
    simulated = simulate_ranking(maps, queries[::3], times=10)
    assert simulated.parts == 20
    assert simulated.keyframes == 20 * len(maps.localizers['room'].code.keyframes)
    assert simulated.right_part == {1: 1.0, 2: 1.0, 3: 1.0}
    assert simulated.ms > 0


def test_copies_cannot_be_told_from_their_original(maps, queries):
    """Parts that have everything in common with a real one are as likely as that one."""
    simulated = simulate_ranking(maps, queries[:1], times=3, common=1.0)
    assert simulated.alike_simulated > simulated.alike + 0.1


def test_images_without_poses(maps, queries):
    with pytest.raises(DatasetError, match='none of the 1 images has a pose'):
        evaluate_place(maps, [replace(queries[0], world_from_cam=None)])
