"""Damaged datasets are read, or refused in words that a user understands; fuzz.py is for hours."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('hypothesis', reason='fuzzing needs hypothesis')

from fuzz import SEEDS, check, copy, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aceg_ros.datasets.camera_info import camera_from_info, holds_calibration
from aceg_ros.datasets.encodings import COLOR_ENCODINGS, decode, decode_compressed
from aceg_ros.errors import CameraError, ImageError

# The same cases each time; new ones are the command's to find. Seconds in all.
bounded = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
randoms = st.randoms(use_true_random=False)
floats = st.floats() | st.sampled_from([0.0, 1.0, 100.0, 320.0])


@pytest.fixture(scope='module', params=SEEDS)
def seed(request, tmp_path_factory):
    """A small dataset of each layout that is as it should be, and a place beside it."""
    folder = tmp_path_factory.mktemp('fuzz')
    yield SEEDS[request.param](folder / 'seed'), folder / 'case'
    shutil.rmtree(folder)


def test_whole_datasets_are_read(seed):
    assert check(seed[0]) == 'dataset'


@bounded
@given(random=randoms)
def test_damaged_datasets(seed, random):
    root = copy(*seed)
    damage(root, random)
    check(root)


def numbers(count: int):
    return st.lists(floats, min_size=count, max_size=count).map(np.array)


@settings(bounded, max_examples=200)
@given(
    size=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)) | st.just((640, 480)),
    model=st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant', '', 'Fisheye', '?']),
    k=numbers(9) | st.just(np.array([500.0, 0, 320, 0, 500, 240, 0, 0, 1])),
    p=numbers(12),
    r=numbers(9),
    d=st.lists(floats, max_size=14),
    binning=st.integers(0, 2**32 - 1),
    roi=st.tuples(*[st.integers(0, 700)] * 4),
    rectified=st.booleans(),
)
def test_any_camera_info(size, model, k, p, r, d, binning, roi, rectified):
    region = dict(zip(('x_offset', 'y_offset', 'width', 'height'), roi, strict=True))
    info = SimpleNamespace(
        width=size[0],
        height=size[1],
        distortion_model=model,
        k=k,
        p=p,
        r=r,
        d=np.array(d),
        binning_x=binning,
        binning_y=binning,
        roi=SimpleNamespace(**region),
    )
    assert holds_calibration(info) in (True, False)
    try:
        camera = camera_from_info(info, rectified, 640, 480)
    except CameraError:
        return
    assert (camera.width, camera.height) == (640, 480)


@settings(bounded, max_examples=200)
@given(
    encoding=st.sampled_from(COLOR_ENCODINGS) | st.text(max_size=8),
    height=st.integers(0, 8) | st.integers(0, 2**32 - 1),
    width=st.integers(0, 8) | st.integers(0, 2**32 - 1),
    step=st.integers(0, 32) | st.integers(0, 2**32 - 1),
    big=st.booleans(),
    data=st.binary(max_size=200),
)
def test_any_image_message(encoding, height, width, step, big, data):
    try:
        image = decode(encoding, height, width, step, big, data)
    except ImageError:
        return
    assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)


@settings(bounded, max_examples=100)
@given(image_format=st.text(max_size=10), data=st.binary(max_size=100))
def test_any_compressed_message(image_format, data):
    with pytest.raises(ImageError):
        decode_compressed(data, image_format)
