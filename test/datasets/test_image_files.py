"""Reading image and depth files: kinds of pixels, and damage."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from aceg_ros.datasets import images_only, open_dataset
from aceg_ros.datasets.images import image_header, image_size, read_depth, read_image
from aceg_ros.errors import DatasetError, ImageError
from aceg_ros.geometry.cameras import Camera


@pytest.fixture
def pixels():
    return np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)


class TestKinds:
    def test_rgb(self, tmp_path, pixels):
        Image.fromarray(pixels).save(tmp_path / 'a.png')
        image = read_image(tmp_path / 'a.png')
        np.testing.assert_array_equal(image, pixels)
        assert image.flags.writeable

    def test_jpeg_has_red_first(self, tmp_path):
        red = np.zeros((48, 64, 3), np.uint8)
        red[..., 0] = 250
        Image.fromarray(red).save(tmp_path / 'a.jpg')
        assert read_image(tmp_path / 'a.jpg')[20, 20].argmax() == 0

    def test_gray_is_repeated(self, tmp_path, pixels):
        Image.fromarray(pixels[..., 0]).save(tmp_path / 'a.png')
        image = read_image(tmp_path / 'a.png')
        np.testing.assert_array_equal(image, np.repeat(pixels[..., :1], 3, axis=2))

    def test_alpha_is_dropped(self, tmp_path, pixels):
        transparent = np.dstack([pixels, np.zeros((48, 64), np.uint8)])
        Image.fromarray(transparent).save(tmp_path / 'a.png')
        np.testing.assert_array_equal(read_image(tmp_path / 'a.png'), pixels)

    def test_gray_with_alpha(self, tmp_path, pixels):
        Image.fromarray(pixels[..., :2], mode='LA').save(tmp_path / 'a.png')
        image = read_image(tmp_path / 'a.png')
        np.testing.assert_array_equal(image, np.repeat(pixels[..., :1], 3, axis=2))

    def test_16_bit_gray_is_scaled(self, tmp_path):
        deep = np.array([[0, 256, 257], [32768, 65279, 65535]], np.uint16)
        Image.fromarray(deep).save(tmp_path / 'a.png')
        expected = np.round(deep / 65535.0 * 255.0)
        np.testing.assert_array_equal(read_image(tmp_path / 'a.png')[..., 1], expected)

    def test_16_bit_color_is_scaled(self, tmp_path, pixels):
        cv2.imwrite(str(tmp_path / 'a.png'), pixels[..., ::-1].astype(np.uint16) * 257)
        np.testing.assert_array_equal(read_image(tmp_path / 'a.png'), pixels)

    def test_palette(self, tmp_path):
        Image.new('P', (64, 48), 3).save(tmp_path / 'a.png')
        assert read_image(tmp_path / 'a.png').shape == (48, 64, 3)

    def test_floating_point_is_refused(self, tmp_path):
        Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / 'a.tif')
        with pytest.raises(ImageError, match='floating point'):
            read_image(tmp_path / 'a.tif')

    def test_size_without_decoding(self, tmp_path, pixels):
        Image.fromarray(pixels).save(tmp_path / 'a.png')
        assert image_size(tmp_path / 'a.png') == (64, 48)


class TestDamage:
    @pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp', '.ppm', '.webp', '.tif'])
    def test_truncated(self, tmp_path, pixels, suffix):
        file = tmp_path / f'a{suffix}'
        Image.fromarray(pixels).save(file)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(ImageError, match=file.name):
            read_image(file)

    @pytest.mark.parametrize('content', [b'', b'no image', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff'])
    def test_unreadable(self, tmp_path, content):
        file = tmp_path / 'a.png'
        file.write_bytes(content)
        with pytest.raises(ImageError):
            read_image(file)
        with pytest.raises(ImageError):
            image_size(file)

    def test_missing(self, tmp_path):
        for read in (read_image, image_size):
            with pytest.raises(ImageError, match='no such image'):
                read(tmp_path / 'a.png')


class TestDepth:
    def test_meters(self, tmp_path, write_depth):
        depth = read_depth(write_depth(tmp_path / 'd.png'), 1000.0, unknown=65535)
        assert depth.dtype == np.float32
        np.testing.assert_array_equal(depth[0, :3], [0.0, 0.0, 2.0])

    def test_every_raw_value_counts_unless_told(self, tmp_path, write_depth):
        depth = read_depth(write_depth(tmp_path / 'd.png'), 5000.0)
        assert depth[0, 1] == pytest.approx(13.107)

    def test_color_is_no_depth(self, tmp_path, write_image):
        with pytest.raises(ImageError, match='no depth image'):
            read_depth(write_image(tmp_path / 'd.png'), 1000.0)


def save_turned(file, pixels, turn):
    """Store an upright picture as a phone does that was held otherwise."""
    back = {3: 2, 6: 1, 8: 3}[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels, back))).save(file, exif=exif, quality=95)


class TestExifOrientation:
    UPRIGHT = Camera.pinhole(64, 48, 60.0, 60.0, 32.0, 24.0)

    @pytest.mark.parametrize('turn', [3, 6, 8])
    @pytest.mark.parametrize('suffix', ['jpg', 'webp', 'png', 'tif'])
    def test_applied_where_that_is_asked_for(self, tmp_path, turn, suffix):
        smooth = np.add.outer(np.arange(48) * 2, np.arange(64) * 2).astype(np.uint8)
        upright = np.repeat(smooth[:, :, None], 3, axis=2)
        save_turned(tmp_path / f'a.{suffix}', upright, turn)
        dataset = images_only(tmp_path, self.UPRIGHT, exif=True)
        difference = dataset.frames[0].image().astype(int) - upright
        assert np.abs(difference).max() < 12
        assert dataset.notes == []

    def test_said_where_it_is_not_applied(self, tmp_path, pixels):
        save_turned(tmp_path / 'a.jpg', pixels, 3)
        dataset = images_only(tmp_path, self.UPRIGHT)
        assert 'a.jpg, have an EXIF orientation that is not applied' in dataset.notes[0]
        assert image_header(tmp_path / 'a.jpg') == ((64, 48), 3)

    def test_named_as_the_reason_for_another_size(self, tmp_path, pixels):
        save_turned(tmp_path / 'a.jpg', pixels, 6)
        with pytest.raises(DatasetError, match=r'48x64 .* orientation \(6\) .*give --exif'):
            images_only(tmp_path, self.UPRIGHT)
        across = Camera.pinhole(48, 64, 60.0, 60.0, 24.0, 32.0)
        with pytest.raises(DatasetError, match=r'64x48 .* was applied: read without --exif'):
            images_only(tmp_path, across, exif=True)

    def test_layouts_of_cameras_have_none(self, tmp_path, pixels):
        (tmp_path / 'rgb.txt').write_text('1.0 a.png')
        (tmp_path / 'groundtruth.txt').write_text('1.0 0 0 0 0 0 0 1')
        with pytest.raises(DatasetError, match='leave --exif out'):
            open_dataset(tmp_path, exif=True)


def test_heic_is_read_or_the_library_is_named(tmp_path, pixels):
    try:
        import pillow_heif
    except ImportError:
        (tmp_path / 'a.heic').write_bytes(b'ftypheic')
        with pytest.raises(ImageError, match=r'pip install .*pillow-heif'):
            read_image(tmp_path / 'a.heic')
        with pytest.raises(ImageError, match='pillow-heif'):
            image_size(tmp_path / 'a.heic')
        return
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(tmp_path / 'a.heic')
    assert read_image(tmp_path / 'a.heic').shape == (48, 64, 3)
