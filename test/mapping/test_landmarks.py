"""Landmarks made from images of a plane, and of a room, whose surfaces are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from plane_keyframes import CAMERA, FISHEYE, POSES, of_gray, rolled, swept, views_of
from textured_plane import above

from aceg_ros.errors import FitCancelled
from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.landmarks.landmarks import SIDE
from aceg_ros.landmarks.templates import find_planar_patches, planar_patches
from aceg_ros.mapping.landmarks import make_landmarks
from aceg_ros.mapping.options import LandmarkOptions
from aceg_ros.mapping.views import compare_views
from aceg_ros.monitor import Monitor


def made(keyframes, candidates=None, count=300, seed=0, **calls):
    candidates = swept(keyframes) if candidates is None else candidates
    pairs = compare_views(keyframes, 2.0)
    return make_landmarks(
        keyframes, candidates, pairs, LandmarkOptions(count=count), 14.0, seed, Monitor(**calls)
    )


def off_plane(landmarks):
    """Distances from the plane as part of the distance from the keyframe."""
    return np.abs(landmarks.points3d[:, 2]) / 2.0


@pytest.fixture(scope='module')
def landmarks(sights):
    return made(sights)


class TestPlaces:
    def test_on_the_surface(self, landmarks):
        """The sweep is off by 3 % of the distance; landmarks by less than a twentieth of that."""
        errors = off_plane(landmarks)
        assert len(landmarks) > 200
        assert np.median(errors) < 0.001
        assert np.quantile(errors, 0.95) < 0.004

    def test_fisheye(self, plane):
        found = made(views_of(plane, FISHEYE))
        assert len(found) > 200
        assert np.median(off_plane(found)) < 0.003

    def test_whatever_the_light(self, plane, sights):
        """Every other image is darker and of less contrast."""
        dull = views_of(plane, gain=0.5, offset=20.0)
        found = made([pair[index % 2] for index, pair in enumerate(zip(sights, dull, strict=True))])
        assert len(found) > 200
        assert np.median(off_plane(found)) < 0.0015

    def test_wild_depths_make_no_wild_landmarks(self, sights):
        """Candidates far from the surface are put right, or left out."""
        found = made(sights, swept(sights, error=0.3))
        assert len(found) > 20
        assert np.median(off_plane(found)) < 0.0015
        assert (off_plane(found) < 0.02).mean() > 0.9

    def test_from_one_spot_with_measured_depth(self, plane):
        """Images that a turning camera takes confirm a corner, not how far it is."""
        turns = [(0, 0, 0), (6, 0, 20), (0, 8, -10), (-6, 4, 0), (4, -8, 30), (-5, -5, 60)]
        sights = views_of(plane, poses=[above(turn=turn) for turn in turns])
        found = made(sights, swept(sights, error=0.003, deviation=0.003))
        assert len(found) > 200
        assert np.median(off_plane(found)) < 0.004
        assert len(made(sights, swept(sights, error=0.003))) == 0

    def test_measured_depth_and_parallax_together(self, sights):
        """What views say is far better here than what was measured."""
        found = made(sights, swept(sights, error=0.03, deviation=0.03))
        assert len(found) > 200
        assert np.median(off_plane(found)) < 0.0015

    def test_in_the_room(self, mapped, views):
        """A real sweep: where the depth that the room was rendered with says they are."""
        code, errors = mapped.code, []
        for index, pose in enumerate(code.keyframes):
            frame = next(view for view in views if np.allclose(view.world_from_cam, pose))
            own = code.landmarks.subset(code.landmarks.keyframe == index)
            in_view = transform_points(inverse(pose), own.points3d.astype(float))
            column, row = frame.camera.project(in_view).round().astype(int).T
            depth = frame.depth()[row, column]
            errors.append(np.abs(in_view[:, 2] - depth) / depth)
        assert np.median(np.concatenate(errors)) < 0.004
        assert np.quantile(np.concatenate(errors), 0.75) < 0.01


class TestLooks:
    def test_what_the_keyframe_shows_there(self, landmarks, sights):
        assert landmarks.templates.shape == (len(landmarks), SIDE, SIDE)
        poses = np.stack([view.world_from_cam for view in sights])
        for index, view in enumerate(sights):
            own = planar_patches(landmarks.subset(landmarks.keyframe == index), poses)
            image, pose = view.gray.astype(np.float32), view.world_from_cam
            seen = find_planar_patches(image, CAMERA, pose, own, reach=3, min_similarity=0.99)
            assert len(seen.index) > 0.9 * len(own)
            expected = CAMERA.project(transform_points(inverse(pose), own.centers[seen.index]))
            np.testing.assert_allclose(seen.points2d, expected, atol=0.25)

    def test_types_are_those_of_the_class(self, landmarks):
        count = len(landmarks)
        for name, kind, shape in (
            ('points3d', np.float32, (count, 3)),
            ('templates', np.uint8, (count, SIDE, SIDE)),
            ('keyframe', np.uint16, (count,)),
            ('angle', np.float32, (count,)),
        ):
            part = getattr(landmarks, name)
            assert (part.dtype, part.shape) == (kind, shape), name

    def test_samples_are_a_pixel_apart(self, landmarks):
        np.testing.assert_allclose(landmarks.angle, 1 / 300.0, rtol=1e-6)


class TestNumber:
    def test_no_more_than_wanted(self, landmarks):
        assert len(landmarks) <= 300

    def test_spread_over_the_keyframes(self, landmarks, sights):
        each = np.bincount(landmarks.keyframe, minlength=len(sights))
        assert each.min() > 0.6 * len(landmarks) / len(sights)
        assert each.max() < 1.5 * len(landmarks) / len(sights)

    @pytest.mark.parametrize('count', [0, 1, 7])
    def test_few(self, sights, count):
        assert len(made(sights, count=count)) == count

    def test_no_keyframe_gives_much_more_than_its_share(self, sights):
        """Also where the others have few candidates."""
        candidates = swept(sights)
        rare = (candidates.keyframe != 2) & (torch.arange(len(candidates.score)) % 20 > 0)
        candidates.score[rare] = 0.0
        each = np.bincount(made(sights, candidates).keyframe, minlength=len(sights))
        assert each.argmax() == 2
        assert each[2] < 1.5 * 300 / len(sights)

    def test_no_corner_twice(self, landmarks, sights):
        for index, view in enumerate(sights):
            points3d = landmarks.points3d[landmarks.keyframe == index].astype(float)
            in_view = transform_points(inverse(view.world_from_cam), points3d)
            corners = CAMERA.project(in_view).round()
            assert len(np.unique(corners, axis=0)) == len(corners)

    def test_seed(self, sights, landmarks):
        same, other = (made(sights, seed=seed) for seed in (0, 1))
        np.testing.assert_array_equal(same.points3d, landmarks.points3d)
        np.testing.assert_array_equal(same.templates, landmarks.templates)
        assert not np.array_equal(other.points3d, landmarks.points3d)


class TestNone:
    @pytest.mark.parametrize('gray', [0, 90, 255])
    def test_blank_images(self, sights, gray):
        assert len(made(of_gray(sights, gray), swept(sights))) == 0

    def test_faint_noise(self, sights):
        rng = np.random.default_rng(0)
        noisy = [
            SimpleNamespace(
                **vars(view) | {'gray': rng.normal(90, 2, (240, 320)).round().astype(np.uint8)}
            )
            for view in sights
        ]
        assert len(made(noisy, swept(sights))) == 0

    def test_images_that_do_not_belong_together(self, sights):
        """What other keyframes do not confirm is none."""
        assert len(made(rolled(sights))) < 5

    def test_no_good_candidates(self, sights):
        assert len(made(sights, swept(sights, score=0.2))) == 0

    def test_no_candidates(self, sights):
        assert len(made(sights, swept(sights, each=0))) == 0

    def test_nothing_in_common(self, plane):
        """Two keyframes only, and each has no more than one other to be confirmed by."""
        assert len(made(views_of(plane, poses=POSES[:2]))) == 0


class TestProgress:
    def test_reported_once_per_keyframe(self, sights):
        reports = []
        made(sights, count=10, progress=lambda *report: reports.append(report))
        assert [stage for stage, _, _ in reports] == ['landmarks'] * len(sights)
        fractions = [fraction for _, fraction, _ in reports]
        assert fractions == sorted(fractions)
        assert (fractions[0], fractions[-1] < 1) == (0.0, True)
        assert reports[1][2] == f'keyframe 2 of {len(sights)}'

    def test_cancelled(self, sights):
        reports = []
        with pytest.raises(FitCancelled):
            made(
                sights,
                progress=lambda *report: reports.append(report),
                cancelled=lambda: len(reports) == 2,
            )
        assert len(reports) == 2

    def test_images_and_candidates_are_not_changed(self, sights):
        candidates = swept(sights)
        grays, points3d = [view.gray.copy() for view in sights], candidates.points3d.clone()
        made(sights, candidates, count=60)
        for view, gray in zip(sights, grays, strict=True):
            np.testing.assert_array_equal(view.gray, gray)
        torch.testing.assert_close(candidates.points3d, points3d, rtol=0, atol=0)
