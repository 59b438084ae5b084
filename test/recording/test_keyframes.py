"""Which images become keyframes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.recording.keyframes import KeyframeChooser, KeyframeRules, sharpness

RULES = KeyframeRules(translation=0.2, rotation_deg=15.0, sharpness=0.5)


def pose(x: float, yaw_deg: float = 0.0) -> np.ndarray:
    return make_pose(so3_exp([0.0, 0.0, np.deg2rad(yaw_deg)]), [x, 1.0, 2.0])


class TestNewViews:
    def test_first(self):
        assert KeyframeChooser(RULES).is_new_view(pose(0.0))

    @pytest.mark.parametrize(
        ('x', 'yaw', 'new'),
        [(0.19, 0.0, False), (0.21, 0.0, True), (0.0, 14.0, False), (0.0, -16.0, True)],
    )
    def test_moved_or_turned_enough(self, x, yaw, new):
        chooser = KeyframeChooser(RULES, [pose(0.0)])
        assert chooser.is_new_view(pose(x, yaw)) is new

    def test_compared_with_all_not_only_the_last(self):
        """Going to and fro adds nothing."""
        chooser = KeyframeChooser(RULES)
        taken = 0
        for x in np.abs(np.linspace(-1.0, 1.0, 201)):
            if chooser.is_new_view(pose(x)):
                chooser.add(pose(x))
                taken += 1
        assert taken == 5

    def test_near_one_keyframe_but_turned_as_another(self):
        chooser = KeyframeChooser(RULES, [pose(0.0, 0.0), pose(5.0, 40.0)])
        assert chooser.is_new_view(pose(0.0, 40.0))


@pytest.fixture(scope='module')
def photo(views) -> np.ndarray:
    return views[0].image()


class TestSharpness:
    def test_falls_with_blur(self, photo):
        assert sharpness(photo) > 0.55
        values = [sharpness(cv2.blur(photo, (1, 1 + 4 * k))) for k in range(5)]
        assert (np.diff(values) < 0).all()
        assert values[-1] < 0.4

    @pytest.mark.parametrize('kernel', [(13, 1), (1, 13)])
    def test_motion_in_either_direction(self, photo, kernel):
        assert sharpness(cv2.blur(photo, kernel)) < 0.45

    def test_little_depends_on_contrast_and_size(self, photo):
        faint = (photo // 4) + 90
        assert sharpness(faint) == pytest.approx(sharpness(photo), abs=0.06)
        large = cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
        assert sharpness(large) == pytest.approx(sharpness(photo), abs=0.06)

    def test_nothing_to_see(self):
        assert sharpness(np.full((48, 64, 3), 128, np.uint8)) == 0.0

    def test_chooser_uses_it(self, photo):
        blurred = cv2.blur(photo, (25, 1))
        assert KeyframeChooser(RULES).is_sharp(photo)
        assert not KeyframeChooser(RULES).is_sharp(blurred)
        assert KeyframeChooser(KeyframeRules(sharpness=0.0)).is_sharp(blurred)
