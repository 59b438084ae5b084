"""Recordings: what is written is read again, whatever stops the writing."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from aceg_ros.datasets import RecordingWriter, images_only, open_dataset, write_recording
from aceg_ros.datasets.recording import is_recording, set_aside
from aceg_ros.errors import CameraError, DatasetError, ImageError, PoseError, StorageError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix
from aceg_ros.geometry.poses import make_pose

CAMERA = Camera(
    'equidistant', 64, 48, intrinsic_matrix(40.0, 41.0, 30.0, 25.0), np.array([0.1, 0.0, 0.01, 0.0])
)


@pytest.fixture
def image():
    return np.random.default_rng(5).integers(0, 256, (48, 64, 3), np.uint8)


class TestRecording:
    def test_round_trip(self, tmp_path, image, poses):
        writer = RecordingWriter(tmp_path / 'r', CAMERA)
        depth = np.full((48, 64), 1.2345, np.float32)
        depth[0, :4] = np.nan, -1.0, 70.0, np.inf
        for i in range(3):
            writer.add(image, poses[i], 1305031229.528748 + i / 30, depth if i == 0 else None)
        dataset = open_dataset(tmp_path / 'r')
        assert dataset.skipped == []
        first, last = dataset.frames[0], dataset.frames[2]
        assert first.camera == CAMERA
        assert first.stamp == pytest.approx(1305031229.528748, abs=1e-6)
        np.testing.assert_array_equal(last.image(), image)
        np.testing.assert_allclose(last.world_from_cam, poses[2], atol=1e-8)
        np.testing.assert_array_equal(first.depth()[0, :4], 0.0)
        np.testing.assert_allclose(first.depth()[1:], 1.2345, atol=5e-4)
        assert last.depth() is None

    def test_copy_of_a_dataset_with_its_own_depth_camera(self, tmp_path, image, poses):
        depth_camera = Camera.pinhole(32, 24, 30.0, 30.0, 16.0, 12.0)
        beside = make_pose(np.eye(3), [-0.5, 0.0, 0.0])
        writer = RecordingWriter(
            tmp_path / 'a', CAMERA, depth_camera=depth_camera, color_from_depth=beside
        )
        writer.add(image, poses[1], 2.0, np.ones((24, 32), np.float32))
        write_recording(open_dataset(tmp_path / 'a'), tmp_path / 'b', '.jpg')
        frame = open_dataset(tmp_path / 'b').frames[0]
        assert frame.name == '2.000000.jpg'
        assert frame.depth_camera == depth_camera
        assert frame.depth()[3, 3] == 1.0
        np.testing.assert_array_equal(frame.color_from_depth, beside)
        registered = frame.registered_depth()
        assert registered.shape == (CAMERA.height, CAMERA.width)
        # Half a meter to the left is half of the image.
        assert not registered[:, 40:].any()
        assert registered[20:28, 4:28].all()

    def test_images_without_pose_are_not_recorded(self, tmp_path, image, poses):
        writer = RecordingWriter(tmp_path / 'a', CAMERA)
        writer.add(image, poses[0], 1.0)
        with pytest.raises(DatasetError, match='no pose'):
            write_recording(images_only(tmp_path / 'a'), tmp_path / 'b')

    def test_never_into_an_old_recording(self, tmp_path):
        RecordingWriter(tmp_path / 'r', CAMERA)
        with pytest.raises(DatasetError, match='holds a recording'):
            RecordingWriter(tmp_path / 'r', CAMERA)

    def test_same_stamp_twice(self, tmp_path, image):
        writer = RecordingWriter(tmp_path / 'r', CAMERA)
        writer.add(image, np.eye(4), 1.0)
        with pytest.raises(DatasetError, match='same time stamp'):
            writer.add(image, np.eye(4), 1.0)

    def test_two_programs_in_one_recording(self, tmp_path, image, poses):
        first = RecordingWriter(tmp_path / 'r', CAMERA)
        second = RecordingWriter(tmp_path / 'r')
        second.add(image, poses[0], 1.0)
        with pytest.raises(DatasetError, match='another program records there'):
            first.add(image, poses[1], 2.0)
        second.add(image, poses[2], 3.0)
        assert [f.stamp for f in open_dataset(tmp_path / 'r').frames] == [1.0, 3.0]

    def test_bad_frames(self, tmp_path, image):
        writer = RecordingWriter(tmp_path / 'r', CAMERA)
        with pytest.raises(ImageError, match='shape'):
            writer.add(image[:, :32], np.eye(4), 1.0)
        with pytest.raises(ImageError, match='uint8'):
            writer.add(image / 255.0, np.eye(4), 1.0)
        with pytest.raises(ImageError, match='depth has shape'):
            writer.add(image, np.eye(4), 1.0, np.ones((24, 32), np.float32))
        with pytest.raises(PoseError):
            writer.add(image, np.full((4, 4), np.nan), 1.0)
        with pytest.raises(DatasetError, match=r'\.png or \.jpg'):
            RecordingWriter(tmp_path / 's', CAMERA, image_suffix='.gif')

    def test_unwritable_place(self, tmp_path):
        (tmp_path / 'file').write_text('')
        with pytest.raises(StorageError, match='cannot record'):
            RecordingWriter(tmp_path / 'file' / 'r', CAMERA)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a disk that is about to be full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class TestFullDisk:
    @pytest.fixture
    def writer(self, tmp_path, image, poses):
        writer = RecordingWriter(tmp_path / 'r', CAMERA)
        writer.add(image, poses[0], 1.0)
        return writer

    def is_as_before(self, writer: RecordingWriter) -> None:
        dataset = open_dataset(writer.path)
        assert [frame.name for frame in dataset.frames] == ['1.000000.png']
        assert dataset.skipped == []
        assert [file.name for file in (writer.path / 'images').iterdir()] == ['1.000000.png']
        assert len(writer) == 1

    def test_while_the_image_is_written(self, writer, image, poses):
        with files_up_to(2000), pytest.raises(StorageError, match='was not recorded'):
            writer.add(image, poses[1], 2.0)
        self.is_as_before(writer)
        writer.add(image, poses[1], 2.0)
        assert len(open_dataset(writer.path)) == 2

    def test_while_the_index_is_written(self, writer, poses):
        """The line is cut off in its middle; the image has been written by then."""
        index = writer.path / 'poses.txt'
        plain = np.zeros((48, 64, 3), np.uint8)
        line = b'# padding\n'
        with index.open('ab') as file:
            file.write(line * 500)
        writer = RecordingWriter(writer.path)
        with files_up_to(index.stat().st_size + 20), pytest.raises(StorageError):
            writer.add(plain, poses[1], 2.0)
        assert index.read_bytes().endswith(line)
        self.is_as_before(writer)

    def test_disk_that_has_become_read_only(self, writer, image, poses, monkeypatch):
        def read_only(*_):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        monkeypatch.setattr(os, 'replace', read_only)
        monkeypatch.setattr(os, 'unlink', read_only)
        with pytest.raises(StorageError, match=r'Read-only.* record elsewhere'):
            writer.add(image, poses[1], 2.0)

    def test_no_space_left(self, writer, image, poses, monkeypatch):
        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, 'replace', full)
        depth = np.ones((48, 64), np.float32)
        with pytest.raises(StorageError, match=r'No space left.* frames before it are kept'):
            writer.add(image, poses[1], 2.0, depth)
        monkeypatch.undo()
        self.is_as_before(writer)


class TestContinuing:
    @pytest.fixture
    def recorded(self, tmp_path, image, poses) -> Path:
        """Three frames, at 0, 1 and 2 s."""
        writer = RecordingWriter(tmp_path / 'r', CAMERA, image_suffix='.jpg')
        for i in range(3):
            writer.add(image, poses[i], float(i))
        return writer.path

    def test_goes_on(self, recorded, image, poses):
        writer = RecordingWriter(recorded)
        assert (writer.camera, len(writer), writer.repairs) == (CAMERA, 3, [])
        np.testing.assert_allclose(writer.poses, poses[:3], atol=1e-8)
        with pytest.raises(DatasetError, match='same time stamp'):
            writer.add(image, poses[3], 2.0)
        writer.add(image, poses[3], 3.0)
        dataset = open_dataset(recorded)
        names = ['0.000000.jpg', '1.000000.jpg', '2.000000.jpg', '3.000000.png']
        assert [frame.name for frame in dataset.frames] == names
        np.testing.assert_allclose(dataset.frames[3].world_from_cam, poses[3], atol=1e-8)

    @pytest.mark.parametrize('cut', range(1, 91, 8))
    def test_torn_line(self, recorded, image, poses, cut):
        """However much of it is left, a torn line is no pose, and takes no other with it."""
        index = recorded / 'poses.txt'
        os.truncate(index, index.stat().st_size - cut)
        found = open_dataset(recorded)
        assert [frame.stamp for frame in found.frames] == [0.0, 1.0]
        assert 'line 4: was torn off' in found.skipped[0]
        assert found.skipped[1].startswith('2.000000.jpg: there is no pose')
        writer = RecordingWriter(recorded)
        assert len(writer) == 2
        assert any('torn off' in words for words in writer.repairs)
        writer.add(image, poses[3], 3.0)
        writer.add(image, poses[2], 2.0)  # takes the place of the image that lost its pose
        stamps = [frame.stamp for frame in open_dataset(recorded).frames]
        assert sorted(set(stamps)) == [0.0, 1.0, 2.0, 3.0]

    def test_line_that_is_damaged(self, recorded):
        index = recorded / 'poses.txt'
        lines = index.read_text().splitlines(keepends=True)
        index.write_text(''.join([*lines[:2], '1.0 0 0 nonsense 0 0 0 1\n', lines[3]]))
        writer = RecordingWriter(recorded)
        assert len(writer) == 2
        assert writer.repairs == ['poses.txt, line 3: left out (holds something that is no number)']

    def test_half_written_image(self, recorded):
        half = recorded / 'images/.3.000000.jpg.abcdefgh.part'
        half.write_bytes(b'half')
        found = open_dataset(recorded)
        assert len(found) == 3
        assert found.skipped == [f'{half.name}: was not written to its end']
        assert RecordingWriter(recorded).repairs == [
            f'images/{half.name}: half-written, is removed'
        ]
        assert not half.exists()

    def test_nothing_to_go_on_with(self, tmp_path, recorded):
        with pytest.raises(DatasetError, match='holds no recording'):
            RecordingWriter(tmp_path / 'absent')
        (recorded / 'poses.txt').write_text('1 0 0 0 0 0 0 1\n')
        assert not is_recording(recorded)
        with pytest.raises(DatasetError, match='holds no recording'):
            RecordingWriter(recorded)

    def test_damaged_calibration(self, recorded):
        (recorded / 'calibration.yaml').write_text('width: [')
        with pytest.raises(CameraError, match=r'calibration\.yaml'):
            RecordingWriter(recorded)

    def test_just_begun(self, tmp_path):
        RecordingWriter(tmp_path / 'r', CAMERA)
        assert is_recording(tmp_path / 'r')
        assert len(RecordingWriter(tmp_path / 'r')) == 0

    def test_set_aside(self, recorded):
        first = set_aside(recorded)
        assert len(open_dataset(first)) == 3
        RecordingWriter(recorded, CAMERA)
        assert [first.name, set_aside(recorded).name] == ['r.backup-1', 'r.backup-2']
        with pytest.raises(StorageError, match='cannot be renamed'):
            set_aside(recorded)
