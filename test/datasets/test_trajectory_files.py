"""TUM trajectory files and poses between stamps."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets.trajectory import Trajectory, read_trajectory, write_trajectory
from aceg_ros.errors import DatasetError, PoseError

UNIT = [0.0, 0.0, 0.0, 1.0]


class TestAt:
    def test_between_close_neighbors(self):
        trajectory = Trajectory([1.05, 1.0], [[1.0, 0.0, 0.0, *UNIT], [0.0, 0.0, 0.0, *UNIT]])
        assert trajectory.at(1.02)[0, 3] == pytest.approx(0.4)

    def test_same_instant_written_with_fewer_digits(self):
        trajectory = Trajectory([1.0, 9.0], [[5.0, 0.0, 0.0, *UNIT], [6.0, 0.0, 0.0, *UNIT]])
        assert trajectory.at(9.00004)[0, 3] == 6.0
        assert trajectory.at(0.99996)[0, 3] == 5.0

    @pytest.mark.parametrize('stamp', [0.9, 1.5, 2.1])
    def test_never_across_a_gap_or_beyond_an_end(self, stamp):
        trajectory = Trajectory([1.0, 2.0], [[0.0, 0.0, 0.0, *UNIT]] * 2)
        with pytest.raises(PoseError, match='no pose for time'):
            trajectory.at(stamp)

    def test_a_hole_is_not_bridged(self):
        numbers = [[0.0, 0.0, 0.0, *UNIT], [np.nan, 0.0, 0.0, *UNIT], [1.0, 0.0, 0.0, *UNIT]]
        trajectory = Trajectory([1.0, 1.03, 1.06], numbers)
        for stamp in (1.01, 1.03, 1.05):
            with pytest.raises(PoseError, match='nan'):
                trajectory.at(stamp)


class TestFiles:
    def test_round_trip(self, tmp_path, poses):
        stamps = 1305031229.5 + np.arange(10) * 0.03
        write_trajectory(tmp_path / 't.txt', zip(stamps, poses, strict=True))
        trajectory, problems = read_trajectory(tmp_path / 't.txt')
        assert problems == []
        np.testing.assert_allclose(trajectory.stamps, stamps, atol=1e-6)
        for index, pose in enumerate(poses):
            np.testing.assert_allclose(trajectory.pose(index), pose, atol=1e-8)

    def test_bad_lines_are_named(self, tmp_path):
        lines = ['# t', '1 0 0 0 0 0 0 1', 'two 0 0', 'nan 0 0 0 0 0 0 1', '2,0,0,0,0,0,0,1', '3 0']
        (tmp_path / 't.txt').write_text('\n'.join(lines))
        trajectory, problems = read_trajectory(tmp_path / 't.txt')
        assert [name for name, _ in problems] == ['t.txt, line 3', 't.txt, line 4']
        np.testing.assert_array_equal(trajectory.stamps, [1.0, 2.0, 3.0])
        with pytest.raises(PoseError, match='7 numbers'):
            trajectory.pose(2)

    @pytest.mark.parametrize('content', [b'', b'# only\n', b'\xff\xfe\x00'])
    def test_no_trajectory(self, tmp_path, content):
        (tmp_path / 't.txt').write_bytes(content)
        with pytest.raises(DatasetError, match=r't\.txt'):
            read_trajectory(tmp_path / 't.txt')

    def test_unwritable(self, tmp_path):
        (tmp_path / 'file').touch()
        with pytest.raises(DatasetError, match='cannot be written'):
            write_trajectory(tmp_path / 'file' / 't.txt', [])
