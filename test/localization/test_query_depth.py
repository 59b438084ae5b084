"""Measured depth beside a pose: a place has its depth, a picture of it has not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.errors import ImageError, MapCodeError
from aceg_ros.geometry.rigs import Rig
from aceg_ros.localization.depth import depth_ratios
from aceg_ros.localization.gate import with_depth
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.options import GateOptions
from aceg_ros.localization.result import LocalizationFailure, Reason
from aceg_ros.localization.several import MapSet

ALONE = np.eye(4)[None]


@pytest.fixture(scope='module')
def depth(query):
    return query.registered_depth()


class TestRatios:
    def test_of_the_place(self, found, depth):
        ratios = depth_ratios(found, [depth], ALONE)
        assert len(ratios) > 0.5 * found.inliers.sum()
        assert np.median(np.abs(ratios - 1)) < 0.03

    def test_in_another_unit(self, found, depth):
        assert np.median(depth_ratios(found, [2 * depth], ALONE)) == pytest.approx(2.0, rel=0.03)

    def test_holes_do_not_count(self, found, depth):
        holes = depth.copy()
        holes[:, : depth.shape[1] // 2] = 0.0
        holes[0, 0] = np.nan
        left = found.points2d[found.inliers, 0] < depth.shape[1] / 2 - 3
        ratios = depth_ratios(found, [holes], ALONE)
        assert 0 < len(ratios) <= (~left).sum()
        assert np.median(np.abs(ratios - 1)) < 0.03

    def test_nothing_measured(self, found):
        assert len(depth_ratios(found, [None], ALONE)) == 0

    def test_of_a_rig(self, found, depth):
        """The second camera has depth; the pose is that of a rig that it sits aside on."""
        mount = np.eye(4)
        mount[:3, 3] = [0.1, 0.0, -0.2]
        rig = replace(
            found,
            world_from_cam=found.world_from_cam @ np.linalg.inv(mount),
            cameras=np.ones(len(found.inliers), int),
        )
        ratios = depth_ratios(rig, [None, depth], np.stack([np.eye(4), mount]))
        np.testing.assert_allclose(ratios, depth_ratios(found, [depth], ALONE))


class TestGate:
    @pytest.mark.parametrize(('error', 'given'), [(0.09, True), (0.11, False)])
    def test_bound(self, found, error, given):
        answer = with_depth(found, np.full(50, 1 + error), GateOptions())
        assert bool(answer) == given
        if given:
            assert answer.depth_error == pytest.approx(error)

    def test_few_points_say_nothing(self, found):
        answer = with_depth(found, np.full(29, 3.0), GateOptions())
        assert answer is found
        assert np.isnan(answer.depth_error)

    def test_depths_that_scatter_contradict_it_as_well(self, found):
        scattered = np.tile([0.7, 1.3], 30)
        answer = with_depth(found, scattered, GateOptions())
        assert isinstance(answer, LocalizationFailure)
        assert answer.reason is Reason.OTHER_DEPTH
        assert 'differ by 30%' in answer.message


class TestLocalizer:
    def test_the_place(self, localizer, query, depth, found):
        answer = localizer.localize(query.image(), query.camera, depth=depth)
        np.testing.assert_allclose(answer.world_from_cam, found.world_from_cam, atol=1e-9)
        assert answer.depth_error < 0.03

    def test_a_picture_of_it(self, localizer, query, depth):
        flat = np.full_like(depth, 0.6)
        answer = localizer.localize(query.image(), query.camera, depth=flat)
        assert isinstance(answer, LocalizationFailure)
        assert answer.reason is Reason.OTHER_DEPTH

    @pytest.mark.parametrize('turn', [1, 2, 3])
    def test_a_rolled_camera(self, localizer, query, depth, turn):
        image, turned = (np.ascontiguousarray(np.rot90(x, turn)) for x in (query.image(), depth))
        answer = localizer.localize(image, query.camera.turned(turn), depth=turned)
        assert answer.depth_error < 0.03

    def test_several_maps_and_rigs_take_it(self, localizer, query, depth):
        maps = MapSet({'room': localizer})
        flat = np.full_like(depth, 0.6)
        assert maps.localize(query.image(), query.camera, depth=depth).depth_error < 0.03
        rig = Rig.single(query.camera)
        assert localizer.localize_rig([query.image()], rig, depths=[depth]).depth_error < 0.03
        assert maps.localize_rig([query.image()], rig, depths=[flat]).reason is Reason.OTHER_DEPTH

    def test_of_another_size(self, localizer, query, depth):
        with pytest.raises(ImageError, match='register it to the camera of the images'):
            localizer.localize(query.image(), query.camera, depth=depth[::2, ::2])
        with pytest.raises(ImageError, match='0 depth images of 1 cameras'):
            localizer.localize_rig([query.image()], Rig.single(query.camera), depths=[])

    def test_a_map_without_meters(self, mapped, engine, query, depth):
        code = replace(mapped.code, info=replace(mapped.code.info, metric=False))
        localizer = Localizer(code, engine)
        with pytest.raises(MapCodeError, match='are not meters'):
            localizer.localize(query.image(), query.camera, depth=depth)
        assert localizer.localize(query.image(), query.camera)
