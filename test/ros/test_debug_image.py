"""Images with words in them."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from aceg_ros.ros import debug_image
from aceg_ros.ros.debug_image import DebugImage, captioned
from aceg_ros.ros.middleware.bridge import to_rgb

HEADER = Header(stamp=Time(seconds=7).to_msg())


class Viewer:
    """In the place of a publisher: keeps what somebody would see."""

    def __init__(self) -> None:
        self.subscribers = 1
        self.seen: list[np.ndarray] = []

    def get_subscription_count(self) -> int:
        return self.subscribers

    def publish(self, message: Image) -> None:
        self.seen.append(to_rgb(message))


@pytest.fixture
def viewer() -> Viewer:
    return Viewer()


@pytest.fixture
def pictures(viewer) -> DebugImage:
    return DebugImage(viewer)


@pytest.fixture
def gray() -> np.ndarray:
    return np.full((240, 320, 3), 90, np.uint8)


@pytest.mark.parametrize(
    'words', ['only 3 of 800 patches agree', 'a' * 300, 'Länge 3 °', 'x y ' * 60]
)
def test_words_fit_above_the_picture_however_long_they_are(gray, words):
    drawn = captioned(gray, words, good=False)
    assert (gray == 90).all()
    assert (drawn[60:] == 90).all()
    red, green = drawn[:60, :, 0], drawn[:60, :, 1]
    assert (red.astype(int) - green > 100).any()
    # Nothing is cut off at the right.
    assert not drawn[:10, -3:].any()


def test_good_news_are_green(gray):
    drawn = captioned(gray, 'localized', good=True).astype(int)
    assert (drawn[..., 1] - drawn[..., 0] > 100).any()


def test_longer_words_are_smaller(gray):
    def bright(words: str) -> int:
        rows = (captioned(gray, words, good=True)[:, :, 1] > 120).any(axis=1)
        return int(rows.sum())

    assert bright('H') > bright('H' * 200) / 3 > 0


def test_words_alone_come_only_when_no_image_was_shown(pictures, viewer, gray, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(debug_image.time, 'monotonic', lambda: now[0])
    pictures.say(HEADER, 'waiting_for_images: no image on /image yet')
    assert viewer.seen[0].shape == (480, 640, 3)
    pictures.show(gray, HEADER, 'localized', good=True)
    now[0] += 0.5
    pictures.say(HEADER, 'waiting_for_images: no image on /image for 0.5 s')
    assert len(viewer.seen) == 2
    now[0] += 1.0
    pictures.say(HEADER, 'waiting_for_images: no image on /image for 1.5 s')
    # Over the last image.
    assert (viewer.seen[2][60:] == 90).all()
    assert viewer.seen[2].shape == gray.shape


def test_nothing_is_said_to_nobody(pictures, viewer):
    viewer.subscribers = 0
    pictures.say(HEADER, 'waiting_for_map')
    assert not viewer.seen
    assert not pictures.wanted
