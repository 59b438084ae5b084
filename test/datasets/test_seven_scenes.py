"""7-Scenes layout on a tiny scene."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets import open_dataset
from aceg_ros.datasets.seven_scenes import DEFAULT_CALIBRATION
from aceg_ros.errors import DatasetError, ImageError


@pytest.fixture
def scene(tmp_path, write_image, write_depth, poses):
    for sequence in ('seq-01', 'seq-02'):
        for i in range(3):
            stem = tmp_path / sequence / f'frame-{i:06d}'
            write_image(stem.with_suffix('.color.png'), (640, 480))
            np.savetxt(stem.with_suffix('.pose.txt'), poses[i])
    write_depth(tmp_path / 'seq-01/frame-000000.depth.png', (640, 480))
    (tmp_path / 'TrainSplit.txt').write_text('sequence1 \n')
    (tmp_path / 'TestSplit.txt').write_text('sequence2\n')
    return tmp_path


class TestGood:
    def test_scene(self, scene, poses):
        dataset = open_dataset(scene)
        assert dataset.metric
        assert dataset.skipped == []
        assert [f.name for f in dataset.frames[2:4]] == [
            'seq-01/frame-000002',
            'seq-02/frame-000000',
        ]
        np.testing.assert_allclose(dataset.frames[4].world_from_cam, poses[1], atol=1e-12)
        assert dataset.frames[0].camera == DEFAULT_CALIBRATION.camera

    @pytest.mark.parametrize(
        ('split', 'sequence'), [('train', 'seq-01'), ('test', 'seq-02'), ('seq-02', 'seq-02')]
    )
    def test_splits(self, scene, split, sequence):
        names = [frame.name for frame in open_dataset(scene).select(split).frames]
        assert len(names) == 3
        assert all(name.startswith(sequence) for name in names)

    def test_depth_has_its_own_camera(self, scene):
        first, second = open_dataset(scene).frames[:2]
        np.testing.assert_array_equal(first.depth()[0, :3], [0.0, 0.0, 2.0])
        assert first.depth_camera.K[0, 0] == 585.0
        assert second.depth() is None
        # The wall is 2 m away; the Kinect's cameras are 2.5 cm apart.
        registered = first.registered_depth()
        assert registered[240, 320] == pytest.approx(2.0, abs=0.02)
        assert not registered[:20].any()  # only the color camera sees that

    def test_one_sequence(self, scene):
        dataset = open_dataset(scene / 'seq-02')
        assert dataset.name == f'{scene.name}/seq-02'
        assert [f.splits for f in dataset.frames] == [('seq-02', 'test')] * 3

    def test_default_camera_follows_resized_images(self, scene, write_image):
        for file in scene.glob('seq-02/*.color.png'):
            write_image(file, (320, 240))
        frame = open_dataset(scene / 'seq-02').frames[0]
        assert frame.image().shape == (240, 320, 3)
        assert frame.camera.K[0, 0] == 262.5

    def test_calibration_file_replaces_the_default(self, scene, write_image, simple_calibration):
        for file in scene.glob('*/*.color.png'):
            write_image(file)
        (scene / 'calibration.yaml').write_text(simple_calibration)
        frame = open_dataset(scene).frames[0]
        assert frame.camera.model == 'plumb_bob'
        assert frame.depth_camera is None


class TestBad:
    def test_frames_left_out_are_named(self, scene):
        sequence = scene / 'seq-01'
        (sequence / 'frame-000000.pose.txt').write_text('nan ' * 16)
        (sequence / 'frame-000001.pose.txt').unlink()
        (sequence / 'frame-000002.color.png').unlink()
        dataset = open_dataset(scene)
        assert len(dataset) == 3
        assert [entry.split(': ')[0] for entry in dataset.skipped] == [
            'seq-01/frame-000000',
            'seq-01/frame-000001',
            'seq-01/frame-000002',
        ]
        assert 'no pose' in dataset.skipped[1]
        assert 'no image' in dataset.skipped[2]

    @pytest.mark.parametrize('text', ['', 'broken', '1 0 0 0'])
    def test_garbled_pose(self, scene, text):
        (scene / 'seq-01/frame-000000.pose.txt').write_text(text)
        assert 'frame-000000' in open_dataset(scene).skipped[0]

    def test_nan_poses_only(self, scene):
        for file in scene.glob('*/*.pose.txt'):
            np.savetxt(file, np.full((4, 4), np.nan))
        with pytest.raises(DatasetError, match='nan'):
            open_dataset(scene)

    def test_unreadable_image_is_left_out(self, scene):
        (scene / 'seq-01/frame-000001.color.png').write_bytes(b'junk')
        dataset = open_dataset(scene)
        assert len(dataset) == 5
        assert 'frame-000001' in dataset.skipped[0]

    def test_truncated_image_is_refused_when_read(self, scene):
        file = scene / 'seq-01/frame-000001.color.png'
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(ImageError, match='frame-000001'):
            open_dataset(scene).frames[1].image()

    def test_calibration_of_another_size(self, scene, simple_calibration):
        (scene / 'calibration.yaml').write_text(simple_calibration)
        with pytest.raises(DatasetError, match='image is 640x480 but the calibration is for 64x48'):
            open_dataset(scene)
