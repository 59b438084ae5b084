"""Image messages to arrays and back. Encodings one by one: test/datasets/test_encodings.py."""

from __future__ import annotations

import array
import io

import numpy as np
import pytest
from PIL import Image as Picture
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from aceg_ros.errors import ImageError
from aceg_ros.ros.middleware.bridge import from_depth, from_rgb, to_depth, to_rgb

HEIGHT, WIDTH = 6, 8
# Encodings that cv_bridge converts, without their bits.
CHANNELS = {
    1: ('mono', 'bayer_rggb', 'bayer_bggr', 'bayer_gbrg', 'bayer_grbg'),
    2: ('yuv422', 'yuv422_yuy2'),
    3: ('rgb', 'bgr'),
    4: ('rgba', 'bgra'),
}


@pytest.fixture
def image():
    """Noise, RGB (6, 8, 3)."""
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def message(encoding, pixels, padding=0, big=False):
    """Message of an array (H, W) or (H, W, C), with `padding` bytes after each row."""
    dtype = pixels.dtype.newbyteorder('>' if big else '<')
    rows = pixels.astype(dtype).reshape(len(pixels), -1).view(np.uint8)
    data = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    sent = Image(
        encoding=encoding,
        height=pixels.shape[0],
        width=pixels.shape[1],
        step=data.shape[1],
        is_bigendian=big,
        data=array.array('B', data.tobytes()),
    )
    return deserialize_message(serialize_message(sent), Image)


class TestColor:
    @pytest.mark.parametrize('padding', [0, 3])
    @pytest.mark.parametrize(
        ('encoding', 'order'),
        [
            ('rgb8', [0, 1, 2]),
            ('bgr8', [2, 1, 0]),
            ('rgba8', [0, 1, 2, 0]),
            ('bgra8', [2, 1, 0, 0]),
        ],
    )
    def test_order_of_channels(self, image, encoding, order, padding):
        np.testing.assert_array_equal(to_rgb(message(encoding, image[..., order], padding)), image)

    @pytest.mark.parametrize('big', [False, True])
    def test_deep_gray(self, image, big):
        gray = image[..., 0].astype(np.uint16) * 257
        found = to_rgb(message('mono16', gray, padding=2, big=big))
        np.testing.assert_array_equal(found, np.repeat(image[..., :1], 3, axis=2))

    @pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
    def test_bayer(self, pattern):
        color = {'r': 200, 'g': 120, 'b': 40}
        tile = np.array([color[c] for c in pattern], dtype=np.uint8).reshape(2, 2)
        mosaic = np.tile(tile, (HEIGHT // 2, WIDTH // 2))
        found = to_rgb(message(f'bayer_{pattern}8', mosaic, padding=1))
        np.testing.assert_array_equal(found, np.full((HEIGHT, WIDTH, 3), [200, 120, 40]))

    @pytest.mark.parametrize(('encoding', 'first'), [('yuv422', 1), ('yuv422_yuy2', 0)])
    def test_yuv(self, encoding, first):
        # Full color difference: red of ITU-R BT.601 in studio range.
        packed = np.empty((HEIGHT, WIDTH, 2), dtype=np.uint8)
        packed[..., first] = 82
        packed[:, ::2, 1 - first] = 90
        packed[:, 1::2, 1 - first] = 240
        found = to_rgb(message(encoding, packed, padding=4)).astype(int)
        assert np.abs(found - [255, 0, 0]).max() <= 3

    @pytest.mark.parametrize(('channels', 'names'), CHANNELS.items())
    @pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
    def test_as_cv_bridge(self, channels, names, dtype):
        bridge = pytest.importorskip('cv_bridge').CvBridge()
        bits = 8 * np.dtype(dtype).itemsize
        noise = np.random.default_rng(3).integers(0, 2**bits, (HEIGHT, WIDTH, channels))
        for name in names:
            if bits == 8 or not name.startswith('yuv'):
                encoding = name if name.startswith('yuv') else f'{name}{bits}'
                sent = message(encoding, noise.astype(dtype))
                theirs = bridge.imgmsg_to_cv2(sent, 'rgb8')
                np.testing.assert_array_equal(to_rgb(sent), theirs, encoding)


class TestCompressed:
    def compress(self, image, kind, **options):
        file = io.BytesIO()
        Picture.fromarray(image).save(file, format=kind, **options)
        return file.getvalue()

    def test_png(self, image):
        sent = CompressedImage(format='png', data=self.compress(image, 'PNG'))
        np.testing.assert_array_equal(to_rgb(sent), image)

    def test_deep_png(self, image):
        gray = image[..., 0].astype(np.uint16) * 257
        sent = CompressedImage(format='mono16; png compressed', data=self.compress(gray, 'PNG'))
        np.testing.assert_array_equal(to_rgb(sent), np.repeat(image[..., :1], 3, axis=2))

    def test_jpeg(self):
        flat = np.full((HEIGHT, WIDTH, 3), [180, 90, 30], dtype=np.uint8)
        data = self.compress(flat, 'JPEG', quality=95)
        found = to_rgb(CompressedImage(format='rgb8; jpeg compressed bgr8', data=data))
        assert np.abs(found.astype(int) - flat).max() <= 4

    def test_truncated(self):
        noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        data = self.compress(noise, 'JPEG')
        with pytest.raises(ImageError, match='cannot be decoded'):
            to_rgb(CompressedImage(format='jpeg', data=data[: len(data) // 2]))

    def test_empty(self):
        with pytest.raises(ImageError):
            to_rgb(CompressedImage(format='jpeg'))


class TestRefused:
    def test_zero_size(self):
        with pytest.raises(ImageError, match='no pixels'):
            to_rgb(Image(encoding='rgb8'))

    def test_truncated(self, image):
        sent = message('rgb8', image)
        sent.data = sent.data[:-1]
        with pytest.raises(ImageError, match='truncated'):
            to_rgb(sent)

    @pytest.mark.parametrize('encoding', ['', 'nonsense', '8UC2', '16UC1', '32FC1'])
    def test_encoding(self, image, encoding):
        with pytest.raises(ImageError, match=r'cannot be used.*publish one of'):
            to_rgb(message(encoding, image))


class TestDepth:
    @pytest.mark.parametrize('big', [False, True])
    def test_units(self, big):
        millimeters = np.array([[0, 500], [1500, 65535]], dtype=np.uint16)
        expected = [[0.0, 0.5], [1.5, 65.535]]
        np.testing.assert_allclose(to_depth(message('16UC1', millimeters, 2, big)), expected)
        meters = np.array([[np.nan, 0.5], [1.5, -1.0]], dtype=np.float32)
        expected = [[0.0, 0.5], [1.5, 0.0]]
        np.testing.assert_allclose(to_depth(message('32FC1', meters, 4, big)), expected)


class TestBack:
    def test_rgb(self, image):
        header = Header(frame_id='camera')
        sent = from_rgb(image[:, ::-1], header)  # not contiguous
        assert sent.header is header
        assert sent.encoding == 'rgb8'
        received = deserialize_message(serialize_message(sent), Image)
        np.testing.assert_array_equal(to_rgb(received), image[:, ::-1])

    def test_depth(self):
        depth = np.array([[0.0, 1.25], [2.5, 0.1]], dtype=np.float32)
        received = deserialize_message(serialize_message(from_depth(depth, Header())), Image)
        np.testing.assert_array_equal(to_depth(received), depth)
