"""Images and poses that belong together are paired, whatever their names count."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.datasets import images_only, open_dataset
from aceg_ros.datasets.trajectory import format_tum_line
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.cameras import Camera

BASE = 1403636579
STAMPS = [BASE * 10**9 + 763_555_584 + i * 50_000_000 for i in range(10)]


@pytest.fixture
def make(tmp_path, write_image, simple_calibration, poses):
    """Write a folder with these names of images, and poses at these stamps, as text."""

    def make(names, stamps):
        (tmp_path / 'calibration.yaml').write_text(simple_calibration)
        for name in names:
            write_image(tmp_path / f'images/{name}.png')
        lines = (
            f'{stamp} {format_tum_line(0.0, pose).split(maxsplit=1)[1]}'
            for stamp, pose in zip(stamps, poses, strict=False)
        )
        (tmp_path / 'poses.txt').write_text('\n'.join(lines) + '\n')
        return tmp_path

    return make


def assert_paired(dataset, names, poses):
    assert [frame.name for frame in dataset.frames] == [f'{name}.png' for name in names]
    found = [frame.world_from_cam for frame in dataset.frames]
    np.testing.assert_allclose(found, poses[: len(names)], atol=1e-8)


UNITS = {
    's': lambda t: f'{t / 1e9:.6f}',
    'ms': lambda t: str(t // 10**6),
    'us': lambda t: str(t // 1000),
    'ns': str,
    's.ns': lambda t: f'{t // 10**9}.{t % 10**9}',
}


@pytest.mark.parametrize('unit_of_names', UNITS)
@pytest.mark.parametrize('unit_of_stamps', UNITS)
def test_units_may_differ(make, poses, unit_of_names, unit_of_stamps):
    names = [UNITS[unit_of_names](t) for t in STAMPS]
    dataset = open_dataset(make(names, [UNITS[unit_of_stamps](t) for t in STAMPS]))
    assert len(dataset) == 10
    assert [f.name for f in dataset.frames] == [f'{name}.png' for name in names]
    for frame, pose in zip(dataset.frames, poses, strict=True):
        # Milliseconds are rounded, so poses may be interpolated a little beside.
        np.testing.assert_allclose(frame.world_from_cam, pose, atol=5e-3)
    assert any('names of images' in note for note in dataset.notes) == (unit_of_names != 's')
    assert any('poses.txt' in note for note in dataset.notes) == (unit_of_stamps != 's')


def test_poses_far_apart_are_found_by_rounded_names(make, poses):
    stamps = [BASE * 10**9 + 763_555_584 + i * 2_000_000_000 for i in range(10)]
    names = [str(t // 10**6) for t in stamps]
    assert_paired(open_dataset(make(names, stamps)), names, poses)


def test_names_without_padding_are_paired_in_natural_order(make, poses):
    names = [f'frame_{i}' for i in range(10)][:9] + ['frame_10']
    assert_paired(open_dataset(make(reversed(names), STAMPS)), names, poses)


@pytest.mark.parametrize('step', [1, 10])
def test_frame_numbers_are_paired_in_order_with_times(make, poses, step):
    names = [f'{i:06d}' for i in range(0, 10 * step, step)]
    dataset = open_dataset(make(names, STAMPS))
    assert_paired(dataset, names, poses)
    assert 'taken as frame numbers and paired with poses.txt in order' in dataset.notes[-1]
    assert dataset.frames[3].stamp == pytest.approx(STAMPS[3] * 1e-9)


def test_frame_numbers_with_relative_times(make, poses):
    names = [str(i) for i in range(10)]
    assert_paired(open_dataset(make(names, [f'{0.05 * i:.3f}' for i in range(10)])), names, poses)


def test_relative_milliseconds(make, poses):
    names = ['0', '50', '100', '150']
    dataset = open_dataset(make(names, [f'{0.05 * i:.3f}' for i in range(10)]))
    assert_paired(dataset, names, poses)


def test_frame_numbers_and_another_number_of_poses(make):
    with pytest.raises(
        DatasetError, match=r'7 images do not pair with 10 poses.*frame numbers, 0 to 6'
    ):
        open_dataset(make([str(i) for i in range(7)], STAMPS))


def test_counting_from_another_number_is_refused(make):
    with pytest.raises(DatasetError, match=r'images count from 1, poses\.txt from 0'):
        open_dataset(make([f'{i + 1:04d}' for i in range(10)], range(10)))


def test_clocks_that_differ_by_a_constant(make, poses):
    names = [UNITS['s'](t) for t in STAMPS]
    dataset = open_dataset(make(names, [f'{0.05 * i:.6f}' for i in range(10)]))
    assert_paired(dataset, names, poses)
    assert 's apart' in dataset.notes[-1]


def test_clocks_without_relation_are_refused_with_what_they_say(make):
    names = [str(t) for t in STAMPS[:9]]
    with pytest.raises(DatasetError, match=r'taken as nanoseconds, 1403636579\.76.*use one clock'):
        open_dataset(make(names, [f'{0.05 * i:.6f}' for i in range(10)]))


def test_images_alone_are_in_order(tmp_path, write_image):
    for name in ('v_1', 'v_2', 'v_10'):
        write_image(tmp_path / f'{name}.png')
    dataset = images_only(tmp_path, Camera.pinhole(64, 48, 60.0, 60.0, 32.0, 24.0))
    assert [frame.name for frame in dataset.frames] == ['v_1.png', 'v_2.png', 'v_10.png']
    assert [frame.stamp for frame in dataset.frames] == [0.0, 1.0, 2.0]


def test_names_of_columns_are_no_pose(make, poses):
    folder = make([UNITS['s'](t) for t in STAMPS], STAMPS)
    file = folder / 'poses.txt'
    file.write_text('timestamp;x;y;z;qx;qy;qz;qw\n' + file.read_text().replace(' ', ';'))
    dataset = open_dataset(folder)
    assert (len(dataset), dataset.skipped) == (10, [])


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_marks_of_byte_order(make, poses, encoding):
    names = [UNITS['s'](t) for t in STAMPS]
    folder = make(names, names)
    for file in ('poses.txt', 'calibration.yaml'):
        (folder / file).write_text((folder / file).read_text(), encoding=encoding)
    assert_paired(open_dataset(folder), names, poses)


def test_an_order_that_is_not_clear_is_refused(make):
    with pytest.raises(DatasetError, match='order of the images is not clear'):
        open_dataset(make(['v_0.5', 'v_0.25', 'v_0.75'], STAMPS[:3]))
