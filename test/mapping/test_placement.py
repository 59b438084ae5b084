"""Points that the gray images of other keyframes place: on a plane, and in a room."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plane_keyframes import DEPTH_ERROR, FISHEYE, of_gray, rolled, swept, views_of
from textured_plane import above

from aceg_ros.errors import FitCancelled
from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.mapping.options import LandmarkOptions
from aceg_ros.mapping.placement import place_candidates
from aceg_ros.mapping.views import compare_views
from aceg_ros.monitor import Monitor


def placed(keyframes, candidates, chosen=None, **calls):
    """The candidates' points (C, 3), with those ``chosen`` placed; all of them without."""
    if chosen is None:
        chosen = torch.arange(len(candidates.points3d))
    pairs = compare_views(keyframes, 2.0)
    found = place_candidates(
        keyframes, candidates, chosen, pairs, LandmarkOptions(), 14.0, Monitor(**calls)
    )
    return found.points3d.numpy()


def off_plane(points3d):
    """Distances from the plane as part of the distance from the keyframe."""
    return np.abs(points3d[:, 2]) / 2.0


class TestPlaces:
    def test_on_the_surface(self, sights):
        candidates = swept(sights)
        before, after = candidates.points3d.numpy(), placed(sights, candidates)
        moved = (after != before).any(axis=1)
        assert moved.mean() > 0.4
        assert np.median(off_plane(before)) > 0.5 * DEPTH_ERROR
        assert np.median(off_plane(after[moved])) < 0.05 * DEPTH_ERROR
        assert np.quantile(off_plane(after[moved]), 0.95) < 0.5 * DEPTH_ERROR

    def test_fisheye(self, plane):
        sights = views_of(plane, FISHEYE)
        assert np.median(off_plane(placed(sights, swept(sights)))) < 0.004

    def test_only_those_chosen(self, sights):
        candidates = swept(sights)
        chosen = torch.arange(0, len(candidates.points3d), 3)
        moved = (placed(sights, candidates, chosen) != candidates.points3d.numpy()).any(axis=1)
        assert not np.delete(moved, chosen.numpy()).any()
        assert moved[chosen.numpy()].mean() > 0.4

    def test_along_their_rays(self, sights):
        candidates = swept(sights)
        centers = np.stack([sights[owner].center for owner in candidates.keyframe.tolist()])
        rays = [
            points - centers for points in (candidates.points3d.numpy(), placed(sights, candidates))
        ]
        first, second = (ray / np.linalg.norm(ray, axis=1, keepdims=True) for ray in rays)
        np.testing.assert_allclose(first, second, atol=1e-5)

    def test_measured_ones_stay_within_their_noise(self, plane):
        """Images that a turning camera takes do not tell how far a point is."""
        turns = [(0, 0, 0), (6, 0, 20), (0, 8, -10), (-6, 4, 0), (4, -8, 30), (-5, -5, 60)]
        sights = views_of(plane, poses=[above(turn=turn) for turn in turns])
        candidates = swept(sights, error=0.003, deviation=0.003)
        after = off_plane(placed(sights, candidates))
        assert np.quantile(after, 0.95) < 0.015

    def test_in_the_room(self, mapped, views):
        """A real sweep: half of the anchors are within half a percent of a surface in view."""
        anchors = mapped.code.anchors.astype(float)
        errors = np.full(len(anchors), np.inf)
        for frame in views:
            in_view = transform_points(inverse(frame.world_from_cam), anchors)
            points2d = frame.camera.project(in_view)
            with np.errstate(invalid='ignore'):
                inside = (
                    (points2d >= 0) & (points2d < [frame.camera.width - 1, frame.camera.height - 1])
                ).all(axis=1)
            column, row = points2d[inside].round().astype(int).T
            depth = frame.depth()[row, column]
            errors[inside] = np.minimum(errors[inside], np.abs(in_view[inside, 2] / depth - 1))
        assert np.median(errors) < 0.005


class TestNone:
    @pytest.mark.parametrize('gray', [0, 90, 255])
    def test_blank_images(self, sights, gray):
        candidates = swept(sights)
        after = placed(of_gray(sights, gray), candidates)
        np.testing.assert_array_equal(after, candidates.points3d.numpy())

    def test_images_that_do_not_belong_together(self, sights):
        candidates = swept(sights)
        moved = (placed(rolled(sights), candidates) != candidates.points3d.numpy()).any(axis=1)
        assert moved.mean() < 0.02

    def test_no_candidates(self, sights):
        assert len(placed(sights, swept(sights, each=0))) == 0


class TestMonitor:
    def test_reported_once_per_keyframe(self, sights):
        reports = []
        placed(sights, swept(sights, each=9), progress=lambda *report: reports.append(report))
        assert [stage for stage, _, _ in reports] == ['place'] * len(sights)

    def test_cancelled(self, sights):
        with pytest.raises(FitCancelled):
            placed(sights, swept(sights), cancelled=lambda: True)
