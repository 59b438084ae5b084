"""Poses by stamp, and frames that hang on each other."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.errors import PoseError, TransformError
from aceg_ros.geometry.poses import compose, interpolate, inverse, make_pose, so3_exp
from aceg_ros.geometry.timeline import Timeline, bracket
from aceg_ros.geometry.transform_tree import TransformTree


def pose(x: float, yaw: float = 0.0) -> np.ndarray:
    return make_pose(so3_exp([0.0, 0.0, yaw]), [x, 2.0, 3.0])


class TestBracket:
    def test_between_and_at(self):
        assert bracket([1.0, 2.0, 4.0], 2.5, 2.0) == (1, 2, 0.25)
        assert bracket([1.0, 2.0, 4.0], 2.00005, 0.1) == (1, 1, 0.0)

    @pytest.mark.parametrize(
        ('stamp', 'why'),
        [(0.5, r'first is 0\.500 s later'), (4.5, r'0\.500 s earlier'), (3.0, r'2\.000 s apart')],
    )
    def test_out_of_reach(self, stamp, why):
        with pytest.raises(PoseError, match=why):
            bracket([1.0, 2.0, 4.0], stamp, 1.0)

    def test_no_poses(self):
        with pytest.raises(PoseError, match='no poses'):
            bracket([], 1.0, 1.0)


class TestTimeline:
    def test_interpolates_whatever_the_order_of_arrival(self):
        timeline = Timeline()
        for stamp in (3.0, 1.0, 2.0):
            timeline.add(stamp, pose(stamp, stamp))
        np.testing.assert_allclose(
            timeline.at(1.25), interpolate(pose(1.0, 1.0), pose(2.0, 2.0), 0.25)
        )

    def test_same_stamp_replaces(self):
        timeline = Timeline()
        timeline.add(1.0, pose(1.0))
        timeline.add(1.0, pose(5.0))
        assert len(timeline) == 1
        np.testing.assert_array_equal(timeline.at(1.0), pose(5.0))

    def test_history_is_bounded(self):
        timeline = Timeline(history=1.0)
        for stamp in range(100):
            timeline.add(stamp / 10, pose(stamp))
        assert len(timeline) <= 11
        with pytest.raises(PoseError, match='later'):
            timeline.at(8.0)


class TestTransformTree:
    @pytest.fixture
    def tree(self):
        """Map to odometry, base, and a camera bolted to it; and a gripper on another branch."""
        tree = TransformTree(max_gap=1.0)
        for stamp in (0.0, 1.0):
            tree.add('map', 'odom', pose(1.0, 0.3), stamp)
            tree.add('odom', 'base', pose(stamp, stamp), stamp)
        tree.add('base', 'camera', pose(0.1, 0.2), None)
        tree.add('map', 'gripper', pose(7.0), None)
        return tree

    def test_chain_at_a_time(self, tree):
        expected = compose(
            pose(1.0, 0.3), interpolate(pose(0.0), pose(1.0, 1.0), 0.25), pose(0.1, 0.2)
        )
        np.testing.assert_allclose(tree.lookup('map', 'camera', 0.25), expected)
        np.testing.assert_allclose(tree.lookup('camera', 'map', 0.25), inverse(expected))
        np.testing.assert_allclose(
            tree.lookup('gripper', 'camera', 0.25), inverse(pose(7.0)) @ expected
        )
        np.testing.assert_array_equal(tree.lookup('base', 'base', 9.0), np.eye(4))

    @pytest.mark.parametrize(
        ('target', 'stamp', 'why'),
        [('world', 0.5, 'no frame'), ('island', 0.5, 'not connected'), ('map', 1.5, 'earlier')],
    )
    def test_unknown(self, tree, target, stamp, why):
        tree.add('sea', 'island', pose(0.0), None)
        with pytest.raises(TransformError, match=why):
            tree.lookup(target, 'camera', stamp)

    def test_gap(self, tree):
        tree.add('odom', 'base', pose(2.0), 3.0)
        with pytest.raises(TransformError, match=r'odom < base: .* 2\.000 s apart'):
            tree.lookup('odom', 'base', 2.0)

    def test_circle(self):
        tree = TransformTree()
        tree.add('a', 'b', pose(0.0), None)
        tree.add('b', 'a', pose(0.0), None)
        with pytest.raises(TransformError, match='circle'):
            tree.lookup('a', 'b', 0.0)

    def test_new_parent_replaces_the_old(self, tree):
        tree.add('map', 'camera', pose(4.0), None)
        np.testing.assert_array_equal(tree.lookup('map', 'camera', 0.5), pose(4.0))

    def test_clear_keeps_what_is_static(self, tree):
        tree.clear()
        np.testing.assert_array_equal(tree.lookup('base', 'camera', 99.0), pose(0.1, 0.2))
        with pytest.raises(TransformError, match='not connected'):
            tree.lookup('map', 'camera', 0.5)
