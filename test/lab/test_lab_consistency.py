"""The command that compares errors with covariances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.errors import DatasetError
from aceg_ros.lab.consistency import Track, follow, half_covered, recorded_tracks
from aceg_ros.mapping.options import MappingOptions


def test_each_half_is_covered_in_turn(queries):
    frame = queries[0]
    image = frame.image()
    covered = [half_covered(frame, index).image() != image for index in range(4)]
    height, width = image.shape[:2]
    left, right, top, bottom = (where.any(axis=2) for where in covered)
    assert left[:, : width // 2].mean() > 0.9 and not left[:, width // 2 :].any()
    assert right[:, width // 2 :].mean() > 0.9 and not right[:, : width // 2].any()
    assert top[: height // 2].mean() > 0.9 and not top[height // 2 :].any()
    assert bottom[height // 2 :].mean() > 0.9 and not bottom[: height // 2].any()
    np.testing.assert_array_equal(frame.image(), image)


def test_follows_a_track(queries, mapped, engine, monkeypatch):
    """Which frames are asked for in which group, and that the filter gets those in between too."""
    given = []

    def map_scene(frames, *_):
        given.extend(frame.name for frame in frames)
        return mapped

    monkeypatch.setattr('aceg_ros.lab.consistency.map_scene', map_scene)
    frames = [
        replace(queries[index % len(queries)], name=str(index), stamp=0.1 * index)
        for index in range(10)
    ]
    outcome = follow(Track('room', frames), engine, MappingOptions())
    assert given == ['0', '2', '4']
    names = {
        group: [result.frame.name for result in found.results]
        for group, found in outcome.groups.items()
    }
    assert names == {
        'between': ['1', '3', '5'],
        'beyond': ['6', '7', '8', '9'],
        'half covered': ['1', '3', '5'],
    }
    assert [result.frame.name for result in outcome.track.results] == list('1356789')
    for group, found in outcome.simple.items():
        own, simple = outcome.groups[group].calibration(), found.calibration()
        assert simple['frames'] == own['frames'] > 0
        assert simple['pose']['nees'] != own['pose']['nees']
    assert [run.name for run in outcome.runs] == ['own', 'fixed', 'fixed, fitted']


def test_short_recordings_are_refused(tmp_path, queries, monkeypatch):
    class Short:
        frames = queries

    monkeypatch.setattr('aceg_ros.lab.consistency.open_dataset', lambda _: Short)
    with pytest.raises(DatasetError, match='16 are needed'):
        list(recorded_tracks([tmp_path]))
