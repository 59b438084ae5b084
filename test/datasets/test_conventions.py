"""Poses written in other conventions are read as they were meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aceg_ros.datasets.conventions import READINGS, Convention, parse_conventions, reread
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.poses import (
    inverse,
    make_pose,
    pose_from_tum,
    pose_to_tum,
    so3_exp,
    transform_points,
)

POSE = make_pose(so3_exp([0.3, -1.1, 0.7]), [1.0, -2.0, 0.5])


class TestReread:
    def test_quaternions_with_w_first(self):
        t, (x, y, z, w) = pose_to_tum(POSE)[:3], pose_to_tum(POSE)[3:]
        misread = pose_from_tum([*t, w, x, y, z])
        np.testing.assert_allclose(reread(misread, [Convention.W_FIRST]), POSE, atol=1e-12)

    def test_transforms_from_world_to_camera(self):
        reading = [Convention.CAMERA_FROM_WORLD]
        np.testing.assert_allclose(reread(inverse(POSE), reading), POSE, atol=1e-12)

    @pytest.mark.parametrize(
        ('convention', 'right', 'down', 'forward'),
        [
            (Convention.OPENGL, (1, 0, 0), (0, -1, 0), (0, 0, -1)),
            (Convention.X_FORWARD, (0, -1, 0), (0, 0, -1), (1, 0, 0)),
            (Convention.NED, (0, 1, 0), (0, 0, 1), (1, 0, 0)),
        ],
    )
    def test_axes_of_the_camera(self, convention, right, down, forward):
        """A point a meter to the right in the image is so in the axes that poses are given in."""
        meant = reread(POSE, [convention])
        for optical, written in zip(np.eye(3), (right, down, forward), strict=True):
            np.testing.assert_allclose(
                transform_points(meant, optical[None]),
                transform_points(POSE, np.array([written], float)),
                atol=1e-12,
            )

    @pytest.mark.parametrize(
        ('convention', 'right', 'down', 'forward'),
        [
            (Convention.UNITY, (1, 0, 0), (0, -1, 0), (0, 0, 1)),
            (Convention.UNREAL, (0, 1, 0), (0, 0, -1), (1, 0, 0)),
        ],
    )
    def test_left_handed_worlds(self, convention, right, down, forward):
        """What the camera sees is where the left-handed pose puts it, but for the mirror y."""
        meant = reread(POSE, [convention])
        assert np.linalg.det(meant[:3, :3]) == pytest.approx(1.0)
        for optical, written in zip(np.eye(3), (right, down, forward), strict=True):
            there = transform_points(POSE, np.array([written], float))
            np.testing.assert_allclose(
                transform_points(meant, optical[None]), there * [1, -1, 1], atol=1e-12
            )

    @pytest.mark.parametrize(
        ('unit', 'factor'), [(Convention.MILLIMETERS, 1000.0), (Convention.CENTIMETERS, 100.0)]
    )
    def test_units(self, unit, factor):
        given = POSE.copy()
        given[:3, 3] *= factor
        np.testing.assert_allclose(reread(given, [unit]), POSE)

    def test_several_at_once_in_any_order(self):
        given = inverse(POSE @ np.diag([1.0, -1.0, -1.0, 1.0]))
        t, (x, y, z, w) = pose_to_tum(given)[:3], pose_to_tum(given)[3:]
        misread = pose_from_tum([*t, w, x, y, z])
        for names in ('w-first,camera-from-world,opengl', 'opengl, camera-from-world, w-first'):
            np.testing.assert_allclose(reread(misread, parse_conventions(names)), POSE, atol=1e-12)

    def test_every_reading_is_a_rigid_transform(self):
        for reading in READINGS:
            rotation = reread(POSE, reading)[:3, :3]
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(rotation) == pytest.approx(1.0)


class TestNames:
    def test_none(self):
        assert parse_conventions('') == ()

    def test_unknown_ones_are_refused_with_all_there_are(self):
        with pytest.raises(DatasetError, match=r"'wxyz' is unknown(.|\n)*w-first: quaternions"):
            parse_conventions('wxyz')

    @pytest.mark.parametrize('names', ['opengl,ned', 'millimeters,centimeters'])
    def test_that_exclude_each_other(self, names):
        with pytest.raises(DatasetError, match='name one of these'):
            parse_conventions(names)

    def test_the_documents_say_what_each_means(self):
        text = (Path(__file__).parents[2] / 'docs' / 'datasets.md').read_text('utf-8')
        for convention in Convention:
            assert f'| `{convention}` | {convention.meaning} |' in text
