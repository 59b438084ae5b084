"""Poses in another convention are recognized, and right ones are not suspected."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets.conventions import Convention
from aceg_ros.geometry.poses import inverse, make_pose, pose_from_tum, pose_to_tum, so3_exp
from aceg_ros.inspection.readings import find_misreading, misread_message, read_as

MIRROR = np.diag([1.0, -1.0, 1.0, 1.0])


def w_first(pose):
    tx, ty, tz, x, y, z, w = pose_to_tum(pose)
    return pose_from_tum([tx, ty, tz, w, x, y, z])


def body(rows):
    return make_pose(np.array(rows, float), np.zeros(3))


WRITTEN = {
    'w-first': w_first,
    'camera-from-world': inverse,
    'opengl': lambda pose: pose @ np.diag([1.0, -1.0, -1.0, 1.0]),
    'x-forward': lambda pose: pose @ body([[0, -1, 0], [0, 0, -1], [1, 0, 0]]),
    'ned': lambda pose: pose @ body([[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    'unity': lambda pose: MIRROR @ pose @ MIRROR,
    'unreal': lambda pose: MIRROR @ pose @ body([[0, -1, 0], [0, 0, -1], [1, 0, 0]]) @ MIRROR,
    'w-first,camera-from-world': lambda pose: w_first(inverse(pose)),
}


@pytest.mark.parametrize('name', WRITTEN)
def test_each_convention_is_named(compared, name):
    given = np.stack([WRITTEN[name](pose) for pose in compared.poses])
    reading = find_misreading(compared.wide, given)
    assert reading is not None
    assert reading.option == name
    assert reading.agreement > 0.8


def test_right_poses_are_not_suspected(compared):
    assert find_misreading(compared.wide, compared.poses) is None


def test_wrong_poses_without_a_convention_are_not_explained(compared):
    rng = np.random.default_rng(0)
    turned = [make_pose(so3_exp(rng.normal(size=3)), rng.normal(size=3)) for _ in compared.poses]
    assert find_misreading(compared.wide, np.stack(turned)) is None


def test_a_few_pairs_are_not_enough(compared):
    given = np.stack([inverse(pose) for pose in compared.poses])
    assert find_misreading(compared.wide[:3], given) is None


def test_the_message_says_what_to_give(compared):
    given = np.stack([w_first(pose) for pose in compared.poses])
    reading = read_as(compared.wide, given, (Convention.W_FIRST,))
    text = misread_message(0.1, reading)
    assert '--pose-convention w-first' in text
    assert 'quaternions in the order w x y z' in text
