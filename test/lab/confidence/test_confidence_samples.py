"""Poses with all gates open, and whether they are right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aceg_ros.lab.confidence.samples import (
    OPEN,
    SceneQueries,
    query_samples,
    read_samples,
    write_samples,
)
from aceg_ros.localization.localizer import Localizer


@pytest.fixture(scope='module')
def samples(mapped, engine, views, queries):
    strangers = [replace(frame, world_from_cam=None) for frame in queries[:2]]
    scene = SceneQueries('room', views, {'near': queries[2:5], 'elsewhere': strangers}, 'a place')
    return query_samples(scene, Localizer(mapped.code, engine, OPEN))


def test_each_view_is_asked_for_as_it_is_and_at_half_the_size(samples):
    assert [sample.group for sample in samples] == 6 * ['near'] + 4 * ['elsewhere']
    whole, half = samples[0].evidence, samples[1].evidence
    assert whole['first_inliers'] != half['first_inliers']


def test_poses_of_the_place_are_right(samples):
    assert all(sample.found and sample.right and not sample.gross for sample in samples[:6:2])


def test_poses_of_views_from_elsewhere_are_gross_errors(samples):
    assert all(sample.gross and not sample.right for sample in samples[6:] if sample.found)


def test_are_read_as_they_were_written(samples, tmp_path):
    write_samples(tmp_path / 'room.json', samples)
    assert read_samples(tmp_path / 'room.json') == samples
    assert {sample.scene for sample in samples} == {'a place'}
