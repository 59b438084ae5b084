"""Frames, selection, and the setting aside of what cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets.base import Dataset, Frame, FrameCollector
from aceg_ros.errors import CameraError, DatasetError, ImageError, PoseError
from aceg_ros.geometry.cameras import Camera

CAMERA = Camera.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)


def make_dataset(count=10):
    image = np.zeros((48, 64, 3), np.uint8)
    frames = [
        Frame(f'{i}', CAMERA, lambda: image, splits=('train',) if i < 6 else ('test',))
        for i in range(count)
    ]
    return Dataset('tiny', frames, metric=True, skipped=['x: broken'])


class TestSelect:
    def test_everything(self):
        assert len(make_dataset().select()) == 10

    def test_range_and_step_count_within_the_split(self):
        chosen = make_dataset().select('train', start=1, stop=6, every=2)
        assert [frame.name for frame in chosen.frames] == ['1', '3', '5']

    def test_even_and_odd_are_complements(self):
        dataset = make_dataset()
        names = {f.name for start in (0, 1) for f in dataset.select(start=start, every=2).frames}
        assert len(names) == 10

    def test_keeps_what_was_skipped(self):
        dataset = make_dataset()
        chosen = dataset.select(every=2)
        assert chosen.skipped == dataset.skipped
        assert chosen.skipped is not dataset.skipped

    def test_unknown_split_names_the_known(self):
        with pytest.raises(DatasetError, match='test, train'):
            make_dataset().select('seq-09')

    def test_nothing_in_range(self):
        with pytest.raises(DatasetError, match='10 to choose from'):
            make_dataset().select(start=20)

    def test_step_below_one(self):
        with pytest.raises(DatasetError, match='1 or more'):
            make_dataset().select(every=0)


class TestFrame:
    def test_image_of_another_size_than_its_camera(self):
        frame = Frame('a', CAMERA, lambda: np.zeros((24, 32, 3), np.uint8))
        with pytest.raises(ImageError, match='32x24'):
            frame.image()

    def test_depth(self):
        depth = np.ones((24, 32), np.float32)
        image = np.zeros((48, 64, 3), np.uint8)
        own = Frame('a', CAMERA, lambda: image, None, 0.0, lambda: depth, CAMERA.scaled(32, 24))
        assert own.depth() is depth
        registered = Frame('a', CAMERA, lambda: image, load_depth=lambda: depth)
        with pytest.raises(ImageError, match='depth'):
            registered.depth()
        assert Frame('a', CAMERA, lambda: image).depth() is None


class TestCollector:
    def test_good_and_bad(self, tmp_path, write_image):
        good, wide = write_image(tmp_path / 'a.png'), write_image(tmp_path / 'b.png', (48, 64))
        collector = FrameCollector()
        for name, file, pose in [
            ('a', good, np.eye(4)),
            ('other size', wide, np.eye(4)),
            ('nan pose', good, np.full((4, 4), np.nan)),
            ('absent', tmp_path / 'c.png', np.eye(4)),
            ('a', good, np.eye(4)),
            ('b', good, None),
        ]:
            with collector.skipping(name):
                collector.add(name, file, CAMERA, pose)
        dataset = collector.dataset('some', metric=False)
        assert [frame.name for frame in dataset.frames] == ['a', 'b']
        assert [frame.stamp for frame in dataset.frames] == [0.0, 1.0]
        assert dataset.frames[1].world_from_cam is None
        reasons = dict(entry.split(': ', 1) for entry in dataset.skipped)
        assert '48x64' in reasons['other size']
        assert 'nan' in reasons['nan pose']
        assert 'missing' in reasons['absent']
        assert 'same name' in reasons['a']

    @pytest.mark.parametrize(
        ('size', 'pose', 'error'),
        [((32, 32), np.eye(4), CameraError), ((64, 48), 2 * np.eye(4), PoseError)],
    )
    def test_errors_are_typed(self, tmp_path, write_image, size, pose, error):
        with pytest.raises(error):
            FrameCollector().add('a', write_image(tmp_path / 'a.png', size), CAMERA, pose)

    def test_bugs_are_not_hidden(self):
        with pytest.raises(ZeroDivisionError), FrameCollector().skipping('a'):
            raise ZeroDivisionError

    def test_nothing_left(self):
        collector = FrameCollector()
        collector.skip('a.png', 'torn')
        with pytest.raises(DatasetError, match=r'(?s)no usable frame.*a\.png: torn'):
            collector.dataset('some', metric=True)
