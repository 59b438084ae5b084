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

from aceg_ros.datasets.encodings import COLOR_ENCODINGS
from aceg_ros.errors import ImageError
from aceg_ros.ros.middleware import bridge
from aceg_ros.ros.middleware.bridge import from_depth, from_rgb, to_depth, to_rgb

HEIGHT, WIDTH = 6, 8


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


class TestBothWays:
    """cv_bridge and rosbags-image, each where it is installed."""

    @pytest.fixture
    def without_cv_bridge(self, monkeypatch):
        """Have all that follows done without cv_bridge."""

        def hide():
            monkeypatch.setattr(bridge, '_cv_bridge', lambda: None)

        return hide

    @pytest.fixture
    def cv_bridge(self):
        """cv_bridge, or a skip."""
        if bridge._cv_bridge() is None:
            pytest.skip('cv_bridge is a package of ROS; it is not installed, or does not work here')
        return bridge._cv_bridge()

    @pytest.mark.parametrize('padding', [0, 1, 12])
    @pytest.mark.parametrize('encoding', COLOR_ENCODINGS)
    def test_same_pixels(self, cv_bridge, without_cv_bridge, encoding, padding):
        bits = 16 if encoding.endswith('16') else 8
        # Planes of color follow those of brightness; 3 rows of them are more than any has.
        shape = (HEIGHT * 3, WIDTH, 4)
        noise = np.random.default_rng(3).integers(0, 2**bits, shape).astype(f'u{bits // 8}')
        sent = [message(encoding, noise, padding, big) for big in {False, bits == 16}]
        for each in sent:
            each.height = HEIGHT
        theirs = [to_rgb(each) for each in sent]
        without_cv_bridge()
        for each, pixels in zip(sent, theirs, strict=True):
            np.testing.assert_array_equal(to_rgb(each), pixels)

    @pytest.mark.parametrize('big', [False, True])
    @pytest.mark.parametrize('encoding', ['16UC1', '32FC1', 'mono16'])
    def test_same_depth(self, cv_bridge, without_cv_bridge, encoding, big):
        depth = np.random.default_rng(4).uniform(0, 60000, (HEIGHT, WIDTH))
        sent = message(encoding, depth.astype('f4' if encoding == '32FC1' else 'u2'), 3, big)
        theirs = to_depth(sent)
        without_cv_bridge()
        np.testing.assert_array_equal(to_depth(sent), theirs)

    def test_same_messages(self, image, cv_bridge, without_cv_bridge):
        header = Header(frame_id='camera')
        depth = image[..., 0].astype(np.float32)
        theirs = from_rgb(image[:, ::-1], header), from_depth(depth, header)
        without_cv_bridge()
        assert theirs == (from_rgb(image[:, ::-1], header), from_depth(depth, header))

    @pytest.mark.parametrize('name', ['mono8', 'bgr8', 'rgba16', 'bayer_gbrg8', 'yuv422'])
    def test_pixels_are_those_that_cv_bridge_gives_by_itself(self, cv_bridge, name):
        bits = 16 if name.endswith('16') else 8
        channels = {'mono8': 1, 'bgr8': 3, 'rgba16': 4, 'bayer_gbrg8': 1, 'yuv422': 2}[name]
        noise = np.random.default_rng(3).integers(0, 2**bits, (HEIGHT, WIDTH, channels))
        sent = message(name, noise.astype(f'u{bits // 8}'))
        np.testing.assert_array_equal(to_rgb(sent), cv_bridge.imgmsg_to_cv2(sent, 'rgb8'))

    def test_rosbags_image_steps_in_for_a_cv_bridge_that_does_not_work(self, image, monkeypatch):
        class Broken:
            def cv2_to_imgmsg(self, *arguments):
                raise ImportError('numpy.core.multiarray failed to import')

        monkeypatch.setattr(bridge, 'CvBridge', Broken)
        bridge._cv_bridge.cache_clear()
        try:
            np.testing.assert_array_equal(to_rgb(message('bgr8', image[..., ::-1], 2)), image)
            np.testing.assert_array_equal(to_rgb(from_rgb(image, Header())), image)
        finally:
            bridge._cv_bridge.cache_clear()

    def test_cv_bridge_is_asked_for_encodings_that_only_it_knows(self, image, monkeypatch):
        class Later:
            def imgmsg_to_cv2(self, message, encoding):
                assert (message.encoding, encoding) == ('rgb10', 'rgb8')
                return image

        monkeypatch.setattr(bridge, '_cv_bridge', Later)
        np.testing.assert_array_equal(to_rgb(message('rgb10', image)), image)


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
