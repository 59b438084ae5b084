"""The nearest-neighbor yardstick."""

from __future__ import annotations

import pytest

from aceg_ros.datasets import Frame
from aceg_ros.engine import Engine
from aceg_ros.errors import FitError
from aceg_ros.evaluation.baselines.nearest import NearestLocalizer
from aceg_ros.geometry.poses import pose_error
from aceg_ros.localization.result import Localization


def test_stored_views_are_found(views: list[Frame], engine: Engine) -> None:
    localizer = NearestLocalizer.fit(views, engine.encoder)
    found = localizer.localize(views[3].image(), views[3].camera)
    assert isinstance(found, Localization)
    meters, degrees = pose_error(found.world_from_cam, views[3].world_from_cam)
    assert meters < 0.02
    assert degrees < 0.5


def test_needs_depth(views: list[Frame], engine: Engine) -> None:
    without = [Frame(v.name, v.camera, v.load_image, v.world_from_cam) for v in views[:6]]
    with pytest.raises(FitError, match='depth'):
        NearestLocalizer.fit(without, engine.encoder)
