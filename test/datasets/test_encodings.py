"""Pixels of image messages, by encoding."""

from __future__ import annotations

import array
import sys
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from aceg_ros.datasets.encodings import (
    COLOR_ENCODINGS,
    decode,
    decode_compressed,
    decode_compressed_depth,
    decode_depth,
)
from aceg_ros.errors import ImageError

H, W = 6, 8
RGB = np.random.default_rng(3).integers(0, 256, (H, W, 3), np.uint8)


def padded(pixels: np.ndarray, padding: int) -> tuple[int, bytes]:
    """Step and data with `padding` bytes after each row."""
    rows = pixels.reshape(len(pixels), -1).view(np.uint8)
    return rows.shape[1] + padding, np.pad(rows, ((0, 0), (0, padding))).tobytes()


class TestColors:
    @pytest.mark.parametrize('padding', [0, 5])
    @pytest.mark.parametrize('order', ['rgb', 'bgr', 'rgba', 'bgra'])
    def test_eight_bits(self, order, padding):
        channels = {'r': RGB[..., 0], 'g': RGB[..., 1], 'b': RGB[..., 2], 'a': RGB[..., 0]}
        step, data = padded(np.stack([channels[c] for c in order], -1), padding)
        np.testing.assert_array_equal(decode(f'{order}8', H, W, step, False, data), RGB)

    @pytest.mark.parametrize('big', [False, True])
    @pytest.mark.parametrize('order', ['rgb', 'bgra'])
    def test_sixteen_bits(self, order, big):
        deep = RGB.astype('>u2' if big else '<u2') * 257
        pixels = deep if order == 'rgb' else np.dstack([deep[..., ::-1], deep[..., :1]])
        step, data = padded(np.ascontiguousarray(pixels), 4)
        np.testing.assert_array_equal(decode(f'{order}16', H, W, step, big, data), RGB)

    def test_gray(self):
        gray = RGB[..., 0]
        expected = np.repeat(gray[..., None], 3, 2)
        np.testing.assert_array_equal(decode('mono8', H, W, W, False, gray.tobytes()), expected)
        np.testing.assert_array_equal(decode('8UC1', H, W, W, False, gray.tobytes()), expected)
        deep = (gray.astype('>u2') * 257).tobytes()
        np.testing.assert_array_equal(decode('mono16', H, W, 2 * W, True, deep), expected)

    @pytest.mark.parametrize('name', ['mono16', 'bgr16'])
    def test_sixteen_bits_are_rounded(self, name):
        channels = 1 if name == 'mono16' else 3
        deep = np.repeat(np.arange(2**16, dtype='<u2'), channels)
        found = decode(name, 256, 256, 512 * channels, False, deep.tobytes())
        expected = np.rint(np.arange(2**16) / 257)
        np.testing.assert_array_equal(found.reshape(-1, 3), np.stack([expected] * 3, -1))

    @pytest.mark.parametrize('bits', [8, 16])
    @pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
    def test_bayer(self, pattern, bits):
        """Areas of pure colors, seen through the mosaic, are found again."""
        scene = np.zeros((32, 48, 3), np.uint8)
        for channel in range(3):
            scene[:, 16 * channel : 16 * channel + 16, channel] = 200
        mosaic = np.zeros(scene.shape[:2], np.uint8)
        for index, color in enumerate(pattern):
            row, column = divmod(index, 2)
            mosaic[row::2, column::2] = scene[row::2, column::2, 'rgb'.index(color)]
        pixels = mosaic if bits == 8 else mosaic.astype('<u2') * 257
        step, data = padded(pixels, 2)
        found = decode(f'bayer_{pattern}{bits}', 32, 48, step, False, data)
        inner = np.zeros(48, bool)
        inner[[8, 24, 40]] = True
        np.testing.assert_array_equal(found[4:-4, inner], scene[4:-4, inner])

    @pytest.mark.parametrize('name', ['uyvy', 'yuv422', 'yuyv', 'yuv422_yuy2'])
    def test_yuv(self, name):
        """One color: full-range values of BT.601 in and its RGB out."""
        y, u, v = 81, 90, 240  # red in the standard's range
        pair = [u, y, v, y] if name in ('uyvy', 'yuv422') else [y, u, y, v]
        data = bytes(pair * (W // 2) * H)
        found = decode(name, H, W, 2 * W, False, data)
        np.testing.assert_allclose(found.reshape(-1, 3), [[255, 0, 0]] * (H * W), atol=3)
        with pytest.raises(ImageError, match='even'):
            decode(name, H, 7, 2 * W, False, data)

    @pytest.mark.parametrize('padding', [0, 4])
    @pytest.mark.parametrize(
        ('name', 'across', 'down', 'paired', 'order'),
        [
            ('nv12', 2, 2, True, 'uv'),
            ('NV12', 2, 2, True, 'uv'),
            ('nv21', 2, 2, True, 'vu'),
            ('nv16', 2, 1, True, 'uv'),
            ('nv61', 2, 1, True, 'vu'),
            ('nv24', 1, 1, True, 'uv'),
            ('nv42', 1, 1, True, 'vu'),
            ('i420', 2, 2, False, 'uv'),
            ('yuv420', 2, 2, False, 'uv'),
            ('YV12', 2, 2, False, 'vu'),
        ],
    )
    def test_yuv_in_planes(self, name, across, down, paired, order, padding):
        """The left half is red, the right half blue; both by the standard's values."""
        yuv = np.empty((H, W, 3), np.uint8)
        yuv[:, : W // 2], yuv[:, W // 2 :] = (81, 90, 240), (41, 240, 110)
        step = W + padding
        y = np.pad(yuv[:, :, 0], ((0, 0), (0, padding)))
        planes = [yuv[::down, ::across, 'yuv'.index(letter)] for letter in order]
        if paired:
            color = np.stack(planes, -1).reshape(H // down, -1)
            color = np.pad(color, ((0, 0), (0, 2 * step // across - color.shape[1])))
        else:
            color = np.pad(np.vstack(planes), ((0, 0), (0, padding // across)))
        data = y.tobytes() + color.tobytes()
        found = decode(name, H, W, step, False, data)
        np.testing.assert_allclose(found[:, : W // 2].reshape(-1, 3), [[255, 0, 0]] * 24, atol=3)
        np.testing.assert_allclose(found[:, W // 2 :].reshape(-1, 3), [[0, 0, 255]] * 24, atol=3)
        with pytest.raises(ImageError, match='truncated'):
            decode(name, H, W, step, False, data[: -step - 1])
        with pytest.raises(ImageError, match='even sizes'):
            decode(name, H, W - 1, step, False, data)

    @pytest.mark.parametrize('kind', [bytes, bytearray, lambda b: array.array('B', b)])
    def test_any_buffer_and_a_result_of_its_own(self, kind):
        data = kind(RGB.tobytes())
        found = decode('rgb8', H, W, 3 * W, False, data)
        np.testing.assert_array_equal(found, RGB)
        found[0] = 0
        assert bytes(data) == RGB.tobytes()

    def test_last_row_may_lack_its_padding(self):
        step, data = padded(RGB, 5)
        np.testing.assert_array_equal(decode('rgb8', H, W, step, False, data[:-5]), RGB)


class TestRefused:
    def test_unknown_encoding_names_those_known(self):
        for name in ('rgb10', 'mono', '', '32FC1', 'rgb'):
            with pytest.raises(ImageError) as caught:
                decode(name, H, W, 100, False, bytes(10_000))
            assert all(known in str(caught.value) for known in COLOR_ENCODINGS)

    def test_depth_as_image(self):
        with pytest.raises(ImageError, match='depth'):
            decode('16UC1', H, W, 2 * W, False, bytes(2 * W * H))

    @pytest.mark.parametrize('size', [(0, W), (H, 0)])
    def test_no_pixels(self, size):
        with pytest.raises(ImageError, match='no pixels'):
            decode('rgb8', *size, 3 * W, False, RGB.tobytes())

    def test_truncated(self):
        with pytest.raises(ImageError, match=f'takes {3 * W * H} bytes, there are {3 * W * H - 1}'):
            decode('rgb8', H, W, 3 * W, False, RGB.tobytes()[:-1])
        with pytest.raises(ImageError, match='truncated'):
            decode('bayer_rggb8', H, W, W, False, b'')

    def test_step_too_small(self):
        with pytest.raises(ImageError, match='step is 8'):
            decode('rgb8', H, W, W, False, RGB.tobytes())


def test_without_rosbags_image_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'rosbags.image', None)
    with pytest.raises(ImageError, match='pip install rosbags-image'):
        decode('bgr8', H, W, 3 * W, False, RGB.tobytes())


class TestDepth:
    @pytest.mark.parametrize('big', [False, True])
    def test_units_and_unknown(self, big):
        order = '>' if big else '<'
        raw = np.array([[0, 1000], [65535, 1234]], f'{order}u2')
        expected = [[0.0, 1.0], [65.535, 1.234]]
        step, data = padded(raw, 3)
        np.testing.assert_allclose(decode_depth('16UC1', 2, 2, step, big, data), expected)
        meters = np.array([[np.nan, 1.5], [np.inf, -1.0]], f'{order}f4')
        step, data = padded(meters, 0)
        found = decode_depth('32FC1', 2, 2, step, big, data)
        np.testing.assert_array_equal(found, [[0.0, 1.5], [0.0, 0.0]])

    def test_colors_are_no_depth(self):
        with pytest.raises(ImageError, match='16UC1'):
            decode_depth('rgb8', H, W, 3 * W, False, RGB.tobytes())

    @pytest.mark.parametrize('header', [12, 0])
    def test_compressed(self, header):
        raw = np.array([[0, 1500], [40000, 7]], np.uint16)
        png = bytes(header) + cv2.imencode('.png', raw)[1].tobytes()
        kind = '16UC1; compressedDepth png' if header else '16UC1; png compressed'
        np.testing.assert_allclose(decode_compressed_depth(kind, png), raw / 1000.0, rtol=1e-6)
        with pytest.raises(ImageError, match='32FC1'):
            decode_compressed_depth('32FC1; compressedDepth', png)
        for broken in (b'', png[:12], b'x' * 100):
            with pytest.raises(ImageError, match='cannot be decoded'):
                decode_compressed_depth(kind, broken)


class TestCompressed:
    @pytest.fixture
    def jpeg(self):
        file = BytesIO()
        Image.fromarray(np.full((48, 64, 3), (200, 40, 90), np.uint8)).save(file, 'JPEG')
        return file.getvalue()

    def test_jpeg(self, jpeg):
        found = decode_compressed(array.array('B', jpeg))
        np.testing.assert_allclose(found.reshape(-1, 3), [[200, 40, 90]] * (48 * 64), atol=3)

    def test_damaged(self, jpeg):
        for data in (b'', jpeg[: len(jpeg) // 2], b'no image'):
            with pytest.raises(ImageError, match='cannot be decoded'):
                decode_compressed(data)


class TestVideo:
    @pytest.mark.parametrize('image_format', ['h264', 'H.265', 'hevc', 'bgr8; theora'])
    def test_is_refused_with_what_to_do(self, image_format):
        with pytest.raises(ImageError, match=r'only JPEG and PNG are read: record'):
            decode_compressed(bytes(100), image_format)

    def test_unknown_bytes_have_no_address(self):
        with pytest.raises(ImageError, match="of format 'jpegxl': cannot be decoded") as caught:
            decode_compressed(bytes(100), 'jpegxl')
        assert '0x' not in str(caught.value)
