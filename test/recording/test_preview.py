"""Points shown while recording lie on what was seen."""

from __future__ import annotations

import numpy as np
import pytest

from aceg_ros.recording.preview import ScenePreview, intersect
from aceg_ros.recording.recorder import Keyframe


def keyframes(views, depth: bool) -> list[Keyframe]:
    return [
        Keyframe(
            frame.name,
            frame.image(),
            frame.camera,
            frame.world_from_cam,
            frame.depth() if depth else None,
        )
        for frame in views[:6]
    ]


def off_surface(points: np.ndarray, frame) -> np.ndarray:
    """Relative difference to the true depth of the points that `frame` sees."""
    local = (points - frame.world_from_cam[:3, 3]) @ frame.world_from_cam[:3, :3]
    pixels = frame.camera.project(local)
    seen = ((pixels > 2) & (pixels < [frame.camera.width - 3, frame.camera.height - 3])).all(1)
    columns, rows = pixels[seen].round().astype(int).T
    true = frame.depth()[rows, columns]
    return np.abs(local[seen, 2] / true - 1)


def test_from_matches(views):
    preview = ScenePreview()
    counts = []
    for keyframe in keyframes(views, depth=False):
        preview.add(keyframe)
        counts.append(len(preview.cloud[0]))
    assert counts[:2] == [0, 0]
    assert counts[-1] > 50
    assert (np.diff(counts) >= 0).all()
    assert len(preview.cloud[1]) == len(preview.cloud[0])
    off = off_surface(preview.cloud[0], views[3])
    assert np.median(off) < 0.05
    # No streaks along lines of sight, as of matches that only two keyframes agree on.
    assert np.quantile(off, 0.9) < 0.15


def test_from_depth(views):
    preview = ScenePreview()
    preview.add(keyframes(views, depth=True)[2])
    assert len(preview.cloud[0]) > 300
    assert np.median(off_surface(preview.cloud[0], views[2])) < 1e-3


def test_bounded(views):
    preview = ScenePreview(most=400)
    for keyframe in keyframes(views, depth=True):
        preview.add(keyframe)
    assert len(preview.cloud[0]) == len(preview.cloud[1]) == 400


def test_nothing_to_see(views):
    keyframe = keyframes(views, depth=False)[0]
    flat = Keyframe(
        'x', np.full_like(keyframe.image, 9), keyframe.camera, keyframe.world_from_cam, None
    )
    preview = ScenePreview()
    preview.add(flat)
    preview.add(keyframe)
    assert len(preview.cloud[0]) == 0


class TestIntersect:
    A, B = np.zeros(3), np.array([0.5, 0.0, 0.0])
    POINTS = np.array([[0.2, 0.1, 2.0], [-0.4, 0.3, 3.0]])

    def rays(self, points, center):
        rays = points - center
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)

    def test_finds_points(self):
        found, good = intersect(
            self.A, self.rays(self.POINTS, self.A), self.B, self.rays(self.POINTS, self.B)
        )
        np.testing.assert_allclose(found, self.POINTS)
        assert good.all()

    @pytest.mark.parametrize(
        'other',
        [
            [[0.2, 0.1, -2.0]],  # behind
            [[0.2, 0.15, 2.0]],  # rays that pass each other
            [[0.2 + 0.5, 0.1, 2.0]],  # parallel
        ],
    )
    def test_refuses(self, other):
        rays_a = self.rays(self.POINTS[:1], self.A)
        rays_b = self.rays(np.array(other), self.B)
        _, good = intersect(self.A, rays_a, self.B, rays_b)
        assert not good.any()
