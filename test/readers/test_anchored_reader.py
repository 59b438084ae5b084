"""An anchored code of a wall of marks, each with a feature of its own, read by patches of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from aceg_ros.engine import Engine
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, shifted, so3_exp, transform_points
from aceg_ros.maps.code import AnchoredCode, MapInfo, Session
from aceg_ros.maps.sessions import joined
from aceg_ros.readers.anchored import AnchoredReader, anchored_tensors
from aceg_ros.readers.base import ImagePatches, Prediction
from aceg_ros.readers.options import AnchoredOptions, ReaderOptions
from aceg_ros.readers.registry import reader_of
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor

MARKS, FOCAL, DEPTH = 400, 300.0, 3.0
CAMERA = Camera.pinhole(640, 480, FOCAL, FOCAL, 320.0, 240.0)
POSE = make_pose(so3_exp([0.05, -0.1, 0.02]), [0.2, -0.1, 0.0])  # faces the wall
AWAY = make_pose(so3_exp([0.0, np.pi, 0.0]), [0.0, 0.0, 0.0])
READER = AnchoredConfig(temperature=200.0)


def engine_of(regressor: AnchoredRegressor | None = None) -> Engine:
    encoder = SimpleNamespace(identity='marks-1', device=torch.device('cpu'))
    return Engine(encoder, (regressor or AnchoredRegressor(READER)).eval())


@pytest.fixture(scope='module')
def code() -> AnchoredCode:
    """Some marks are less certain than others."""
    rng = np.random.default_rng(0)
    anchors = np.column_stack([rng.uniform(-1.5, 1.5, (MARKS, 2)), np.full(MARKS, DEPTH)])
    return AnchoredCode(
        embeddings=F.normalize(torch.from_numpy(rng.normal(size=(MARKS, 64))).float()).numpy(),
        anchors=anchors.astype(np.float32),
        log_sigma=np.log(rng.uniform(0.01, 0.1, MARKS)).astype(np.float32),
        log_prior=np.zeros(MARKS, np.float32),
        colors=np.zeros((MARKS, 3), np.uint8),
        keyframes=np.stack([POSE, np.eye(4)]),
        recorded=np.stack([POSE, np.eye(4)]),
        token_sessions=np.ones(MARKS, np.uint32),
        keyframe_sessions=np.zeros(2, np.uint8),
        keyframe_stamps=np.full(2, np.nan),
        descriptors=np.zeros((2, 0), np.float32),
        info=MapInfo(
            'marks-1',
            AnchoredRegressor(READER).codes(),
            metric=True,
            cameras=(),
            sessions=(Session('first'),),
        ),
    )


@pytest.fixture(scope='module')
def patches(code) -> ImagePatches:
    """One of each mark, as seen from POSE, the last 100 of something else."""
    rays = transform_points(inverse(POSE), code.anchors.astype(float))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    features = torch.from_numpy(code.embeddings).clone()
    features[-100:] = F.normalize(torch.randn(100, 64, generator=torch.Generator().manual_seed(9)))
    return patches_of(features, rays)


def patches_of(features: torch.Tensor, rays: np.ndarray) -> ImagePatches:
    """Patches of an image whose grid has nothing that the map knows."""
    grid = torch.zeros(features.shape[1], CAMERA.height // 8, CAMERA.width // 8)
    return ImagePatches(features, rays, CAMERA.project(rays), CAMERA, grid, 8)


def reader(code, regressor=None, **options) -> AnchoredReader:
    return reader_of(code, engine_of(regressor), ReaderOptions(AnchoredOptions(**options)))


def owners(matches, patches) -> np.ndarray:
    """Which patch each match is of, by its ray."""
    return (matches.rays @ patches.rays.T).argmax(axis=1)


class TestMade:
    def test_of_its_kind_with_its_options(self, code):
        made = reader(code, patches=77, threshold_px=9.0)
        assert isinstance(made, AnchoredReader)
        assert (made.max_patches, made.threshold_px) == (77, 9.0)
        assert made.code is code

    def test_options_may_be_left_out(self, code):
        made = reader_of(code, engine_of())
        assert made.max_patches == AnchoredOptions().patches
        assert made.threshold_px == AnchoredOptions().threshold_px

    @pytest.mark.parametrize('name', ['encoder', 'regressor'])
    def test_not_for_other_networks(self, code, name):
        other = replace(code, info=replace(code.info, **{name: 'other-1'}))
        with pytest.raises(MapCodeError, match=f'made with {name} other-1, not with'):
            reader(other)

    def test_tensors_are_the_parts_of_the_code(self, code):
        tensors = anchored_tensors(code)
        for name in ('embeddings', 'anchors', 'log_sigma', 'log_prior'):
            np.testing.assert_array_equal(getattr(tensors, name).numpy(), getattr(code, name), name)


class TestPredict:
    def test_patches_are_where_their_marks_are(self, code, patches):
        said = reader(code).predict(patches)
        owner = owners(said.matches, patches)
        known = owner < MARKS - 100
        assert known.sum() > 250
        np.testing.assert_allclose(
            said.matches.points3d[known], code.anchors[owner[known]], atol=1e-2
        )

    def test_rows_stay_together(self, code, patches):
        matches = reader(code).predict(patches).matches
        owner = owners(matches, patches)
        np.testing.assert_array_equal(matches.rays, patches.rays[owner])
        np.testing.assert_array_equal(matches.points2d, patches.centers[owner])

    def test_the_most_certain_come_first(self, code, patches):
        sigma = reader(code).predict(patches).matches.sigma
        assert (sigma > 0).all()
        assert (np.diff(sigma) >= 0).all()

    def test_no_more_than_wanted(self, code, patches):
        all_of_them = reader(code).predict(patches).matches
        some = reader(code, matches=50).predict(patches).matches
        np.testing.assert_array_equal(some.points3d, all_of_them.points3d[:50])

    def test_uncertain_ones_are_left_out(self, code, patches):
        """By the angle that their sigma has from where the map was made."""
        matches = reader(code, max_sigma_px=5.0).predict(patches).matches
        distance = np.linalg.norm(matches.points3d - code.mean, axis=1)
        assert 0 < len(matches) < len(reader(code).predict(patches).matches)
        assert (matches.sigma * FOCAL < 5.0 * distance).all()

    def test_similarity_is_that_of_each_patch(self, code, patches):
        said = reader(code).predict(patches)
        assert said.similarity.shape == (MARKS,)
        torch.testing.assert_close(
            said.similarity[:-100], torch.ones(MARKS - 100), atol=1e-5, rtol=0
        )
        assert float(said.similarity[-100:].max()) < 0.9

    def test_support_is_unknown_without_a_pose(self, code, patches):
        assert reader(code).predict(patches).support_ratio is None

    def test_blocks_are_told_of_the_patches_beside(self, code, patches):
        """Rays of another image would change what blocks say; the anchored reading ignores them."""
        torch.manual_seed(0)
        blocks = AnchoredRegressor(replace(READER, blocks=1, dim=16))
        for parameter in blocks.parameters():
            torch.nn.init.normal_(parameter, 0, 0.3)
        mixed = replace(patches, rays=patches.rays[::-1].copy())
        changes = []
        for regressor in (None, blocks):
            first, second = (reader(code, regressor).predict(p) for p in (patches, mixed))
            points = [
                said.matches.points3d[np.argsort(owners(said.matches, p))]
                for said, p in ((first, patches), (second, mixed))
            ]
            changes.append(points[0].shape != points[1].shape or (points[0] != points[1]).any())
        assert changes == [False, True]


class TestPredictNear:
    @pytest.fixture(scope='class')
    def first(self, code, patches) -> Prediction:
        return reader(code).predict(patches)

    def test_right_pose(self, code, patches, first):
        near = reader(code).predict_near(patches, POSE, first)
        owner = owners(near.matches, patches)
        known = owner < MARKS - 100
        np.testing.assert_allclose(
            near.matches.points3d[known], code.anchors[owner[known]], atol=1e-2
        )

    def test_points_lie_near_the_rays(self, code, patches, first):
        near = reader(code, near_radius_px=10.0).predict_near(patches, POSE, first)
        towards = transform_points(inverse(POSE), near.matches.points3d)
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        chord = np.linalg.norm(towards - near.matches.rays, axis=1)
        assert (FOCAL * chord < 10.0 * 1.01).all()

    def test_support_tells_right_from_wrong(self, code, patches, first):
        made = reader(code)
        slightly = make_pose(POSE[:3, :3] @ so3_exp([0.0, 0.3, 0.0]), POSE[:3, 3])
        right, wrong = (
            made.predict_near(patches, p, first).support_ratio for p in (POSE, slightly)
        )
        assert 0.75 < right <= 1.0 + 1e-6
        assert wrong < 0.5

    def test_support_is_full_where_all_is_known(self, code, patches):
        seen = patches_of(patches.features[:-100], patches.rays[:-100])
        made = reader(code)
        near = made.predict_near(seen, POSE, made.predict(seen))
        assert near.support_ratio == pytest.approx(1.0, abs=1e-5)

    def test_nothing_is_there(self, code, patches, first):
        near = reader(code).predict_near(patches, AWAY, first)
        assert len(near.matches) == 0
        assert near.support_ratio == 0.0

    def test_patches_without_a_token_near_say_nothing(self, code, patches, first):
        """Half of the marks are unknown to the map."""
        left = code.anchors[:, 0] < 0
        parts = ('embeddings', 'anchors', 'log_sigma', 'log_prior', 'colors', 'token_sessions')
        half = replace(code, **{name: getattr(code, name)[left] for name in parts})
        made = reader(half, near_radius_px=3.0)
        near = made.predict_near(patches, POSE, made.predict(patches))
        owner = owners(near.matches, patches)
        assert left[owner].mean() > 0.9
        assert near.support_ratio > 0.7  # patches that no token is near do not count

    def test_blocks_make_no_difference(self, code, patches, first):
        torch.manual_seed(0)
        blocks = AnchoredRegressor(replace(READER, blocks=1, dim=16))
        for parameter in blocks.parameters():
            torch.nn.init.normal_(parameter, 0, 0.3)
        plain, with_blocks = (
            reader(code, r).predict_near(patches, POSE, first).matches for r in (None, blocks)
        )
        np.testing.assert_array_equal(plain.points3d, with_blocks.points3d)


class TestAlternatives:
    def test_are_the_anchors_of_the_most_similar_tokens(self, code, patches):
        made = reader(code)
        matches = made.alternatives(patches, made.predict(patches))
        owner = owners(matches, patches)
        assert (np.bincount(owner)[np.unique(owner)] == 3).all()
        similarity = patches.features.numpy() @ code.embeddings.T
        for patch in np.unique(owner)[[0, 7, -1]]:
            expected = code.anchors[np.argsort(-similarity[patch])[:3]]
            np.testing.assert_allclose(matches.points3d[owner == patch], expected)

    def test_rows_stay_together(self, code, patches):
        made = reader(code)
        matches = made.alternatives(patches, made.predict(patches))
        owner = owners(matches, patches)
        np.testing.assert_array_equal(matches.points2d, patches.centers[owner])
        token = [int(np.flatnonzero((code.anchors == p).all(axis=1))[0]) for p in matches.points3d]
        np.testing.assert_allclose(matches.sigma, np.exp(code.log_sigma[token]), rtol=1e-6)


class TestExpected:
    """An image of the wall: each cell of its grid shows the mark in it, or something else."""

    def seen(self, code, pose=POSE, known=slice(None)) -> ImagePatches:
        generator = torch.Generator().manual_seed(1)
        rows, columns = CAMERA.height // 8, CAMERA.width // 8
        grid = F.normalize(torch.randn(64, rows, columns, generator=generator), dim=0)
        pixels = CAMERA.project(transform_points(inverse(pose), code.anchors.astype(float)))
        column, row = np.floor((pixels + 0.5) / 8).astype(int).T
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        for mark in np.arange(MARKS)[known]:
            if inside[mark]:
                grid[:, row[mark], column[mark]] = torch.from_numpy(code.embeddings[mark])
        nothing = np.zeros((0, 3))
        return ImagePatches(grid[:, 0, :0].T, nothing, nothing[:, :2], CAMERA, grid, 8)

    def test_all_is_there(self, code):
        """But for marks that share a cell with another."""
        assert reader(code).expected_ratio(self.seen(code), POSE) > 0.85

    def test_a_part_is_there(self, code):
        half = reader(code).expected_ratio(self.seen(code, known=slice(0, MARKS, 2)), POSE)
        assert 0.4 < half < 0.9

    def test_it_is_elsewhere(self, code):
        turned = make_pose(POSE[:3, :3] @ so3_exp([0.0, 0.3, 0.0]), POSE[:3, 3])
        made = reader(code)
        ratio = made.expected_ratio(self.seen(code), turned)
        assert ratio < 0.6
        assert made.expected_ratio(self.seen(code, turned), turned) > 0.85

    def test_too_little_is_in_view(self, code):
        assert reader(code).expected_ratio(self.seen(code), AWAY) is None

    def test_what_is_hidden_is_not_expected(self, code):
        """Behind the wall there are as many marks again, which no image shows."""
        behind = code.anchors + (code.anchors - POSE[:3, 3].astype(np.float32))
        others = F.normalize(torch.randn(MARKS, 64, generator=torch.Generator().manual_seed(5)))
        more = replace(
            code,
            embeddings=np.concatenate([code.embeddings, others.numpy()]),
            anchors=np.concatenate([code.anchors, behind]),
            log_sigma=np.tile(code.log_sigma, 2),
            log_prior=np.tile(code.log_prior, 2),
            colors=np.tile(code.colors, (2, 1)),
        )
        one, both = (reader(c).expected_ratio(self.seen(code), POSE) for c in (code, more))
        assert both > one - 0.03


class TestSessions:
    @pytest.fixture(scope='class')
    def both(self, code):
        """The wall, and another one half a kilometer away, of other marks."""
        rng = np.random.default_rng(5)
        marks = torch.from_numpy(rng.normal(size=(MARKS, 64))).float()
        away = np.array([500.0, 0.0, 0.0])
        other = replace(
            code,
            embeddings=F.normalize(marks).numpy(),
            anchors=(code.anchors + away).astype(np.float32),
            keyframes=shifted(code.keyframes, away),
            recorded=shifted(code.recorded, away),
        )
        return joined(code, other)

    def test_uncertain_ones_are_left_out_by_the_nearest_session(self, both, patches):
        matches = reader(both, max_sigma_px=5.0).predict(patches).matches
        centers = [both.keyframes[:2, :3, 3].mean(axis=0), both.keyframes[2:, :3, 3].mean(axis=0)]
        distance = np.min([np.linalg.norm(matches.points3d - c, axis=1) for c in centers], axis=0)
        assert len(matches) > 50
        assert (matches.sigma * FOCAL < 5.0 * distance).all()

    def test_one_far_away_moves_no_reading(self, code, both, patches):
        """At a temperature at which every token that is read has some weight."""
        soft = AnchoredRegressor(replace(READER, temperature=10.0))
        places = []
        for which in (code, both):
            which = replace(which, info=replace(which.info, regressor=soft.codes()))
            matches = reader(which, soft, max_sigma_px=1e6).predict(patches).matches
            owner = owners(matches, patches)
            of_mark = np.full((MARKS, 3), np.nan)
            of_mark[owner] = matches.points3d
            places.append(of_mark[:-100])
        shift = np.linalg.norm(places[0] - places[1], axis=1)
        assert np.isfinite(shift).mean() > 0.9
        assert np.nanmax(shift) < 0.5

    def test_what_should_be_in_view_is_asked_of_each(self, code, both, patches):
        seen = replace(patches, grid=torch.rand(64, 60, 80, generator=torch.Generator()))
        alone, together = (reader(which).expected_ratio(seen, POSE) for which in (code, both))
        assert together == pytest.approx(alone, abs=1e-6)
