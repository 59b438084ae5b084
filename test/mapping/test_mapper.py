"""Mapping from frames to code: what comes out, what stops it, what it leaves out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.datasets import Frame
from aceg_ros.errors import FitCancelled, FitError, ImageError
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.worlds import look, record, tour
from aceg_ros.localization.localizer import Localizer
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import FitOptions, MappingOptions, ValidationOptions
from aceg_ros.maps.code import NONE_NEEDED, MapQuality
from aceg_ros.monitor import Monitor

ROUGH = MappingOptions(budget=600.0, tokens=400, fit=FitOptions(epochs=1, buffer_patches=6_000))


def errors_in(code, engine, frames):
    """Meters and degrees of each frame, infinite where not localized."""
    results = evaluate(Localizer(code, engine), frames).results
    return np.array([[result.meters, result.degrees] for result in results])


def unreadable():
    raise ImageError('cannot be decoded')


class TestMap:
    def test_finds_views_between_the_keyframes(self, mapped, engine, queries):
        meters, degrees = errors_in(mapped.code, engine, queries).T
        close = (meters < 0.15) & (degrees < 5.0)
        assert close.sum() >= len(queries) - 1
        assert np.median(meters) < 0.10

    def test_what_it_is_made_of(self, mapped, engine, quick, room_camera):
        code = mapped.code
        assert code.embeddings.shape == (quick.tokens, engine.encoder.dim)
        assert np.isfinite(code.anchors).all()
        np.testing.assert_allclose(np.linalg.norm(code.embeddings, axis=1), 1.0, atol=1e-5)
        assert code.info.cameras == (room_camera,)
        assert code.info.encoder == engine.encoder.identity
        assert code.info.regressor == engine.regressor.codes()
        assert code.info.metric

    def test_keyframes_are_those_given_but_for_the_held_out(self, mapped, views):
        held_out = mapped.code.info.quality.held_out
        assert held_out == 5
        assert len(mapped.code.keyframes) == len(views) - held_out
        poses = [view.world_from_cam for view in views]
        assert all(any(np.allclose(k, pose) for pose in poses) for k in mapped.code.keyframes)

    def test_anchors_lie_in_the_room(self, mapped, room):
        low, high = room.rooms[0].numpy()
        inside = ((mapped.code.anchors > low - 0.3) & (mapped.code.anchors < high + 0.3)).all(
            axis=1
        )
        assert inside.mean() > 0.9

    def test_colors_are_those_of_the_room(self, mapped):
        assert mapped.code.colors.dtype == np.uint8
        assert mapped.code.colors.std(axis=0).min() > 10

    def test_the_loss_falls(self, mapped):
        losses = mapped.history.losses
        assert losses[-1] < losses[0] - 0.3
        assert 0.2 < mapped.history.inlier_ratio <= 1.0

    def test_a_budget_that_is_too_small_is_said(self, views, mapped, engine, quick):
        short = map_scene(views, engine, replace(quick, budget=0.5))
        assert short.history.completed == pytest.approx(1 / 3)
        (note,) = [note for note in short.notes if 'budget' in note]
        assert note.startswith('the fit had time for 33 % of its steps')
        enough = float(note.split('a budget of ')[1].split(' s')[0])
        assert short.seconds < enough < 5 * short.seconds + 10
        assert mapped.history.completed == 1.0
        assert not any('budget' in note for note in mapped.notes)

    def test_same_seed_same_map(self, mapped, views, engine, quick):
        again = map_scene(views, engine, quick)
        np.testing.assert_array_equal(again.code.anchors, mapped.code.anchors)
        np.testing.assert_array_equal(again.code.embeddings, mapped.code.embeddings)

    def test_depth_images_do_no_harm(self, mapped, views, queries, engine, quick):
        options = replace(quick, use_depth=True)
        code = map_scene(views, engine, options).code
        with_depth, without = (errors_in(c, engine, queries)[:, 0] for c in (code, mapped.code))
        assert np.median(with_depth) < 1.2 * np.median(without) + 0.01

    def test_frames_spread_over_a_long_recording(self, views, engine):
        options = replace(ROUGH, max_keyframes=10, validation=ValidationOptions(held_out=0.0))
        code = map_scene(views, engine, options).code
        chosen = [
            index
            for index, view in enumerate(views)
            if any(np.allclose(view.world_from_cam, keyframe) for keyframe in code.keyframes)
        ]
        assert len(chosen) == 10
        assert (chosen[0], chosen[-1]) == (0, len(views) - 1)


class TestQualityReport:
    def test_keys(self, mapped):
        assert set(mapped.code.info.quality.to_dict()) == {
            'held_out',
            'median_depth',
            'thin',
            'rating',
            'advice',
            'localized',
            'median_error',
            'median_error_deg',
            'median_inliers',
        }

    def test_is_plain_json(self, mapped):
        quality = mapped.code.info.quality
        text = json.dumps(quality.to_dict(), allow_nan=False)
        assert MapQuality.from_dict(json.loads(text)) == quality

    def test_says_what_the_queries_say(self, mapped):
        quality = mapped.code.info.quality
        assert quality.rating in ('good', 'fair', 'poor')
        assert quality.localized == 5
        assert quality.thin or quality.advice == NONE_NEEDED
        assert quality.median_error < 0.15

    def test_thin_places_are_named_and_advised(self, views, engine):
        """Both held-out views show nothing that the other views show."""
        dark = [
            replace(view, load_image=lambda: np.zeros((240, 320, 3), np.uint8)) for view in views
        ]
        options = replace(ROUGH, validation=ValidationOptions(held_out=0.08, min_held_out=2))
        mixed = [dark[i] if i in (9, 18) else view for i, view in enumerate(views)]
        quality = map_scene(mixed, engine, options).code.info.quality
        assert quality.rating == 'poor'
        assert [place.frame for place in quality.thin] == [views[9].name, views[18].name]
        assert views[9].name in quality.advice

    def test_too_few_keyframes_to_hold_any_out(self, views, engine):
        options = replace(ROUGH, validation=ValidationOptions(held_out=0.0))
        quality = map_scene(views[:16], engine, options).code.info.quality
        assert (quality.rating, quality.held_out) == ('unknown', 0)


class TestRefused:
    @pytest.mark.parametrize('count', [0, 4])
    def test_too_few_frames(self, views, engine, count):
        with pytest.raises(FitError, match=f'{count} images, but a map needs at least 5'):
            map_scene(views[:count], engine)

    def test_too_few_readable_frames(self, views, engine):
        frames = [replace(view, load_image=unreadable) for view in views[:6]] + views[6:10]
        with pytest.raises(FitError, match=r'4 usable keyframes.*cannot be decoded'):
            map_scene(frames, engine, replace(ROUGH, validation=ValidationOptions(held_out=0.0)))

    @pytest.mark.parametrize('wander', [0.0, 0.001], ids=['tripod', 'millimeter'])
    def test_one_spot(self, room, room_camera, views, engine, wander):
        """A camera that only turns sees no depth."""
        spot = views[10].world_from_cam[:3, 3]
        rng = np.random.default_rng(0)
        poses = [
            look(spot + wander * rng.uniform(-1, 1, 3), yaw, pitch=-0.2)
            for yaw in np.linspace(0.0, 1.5, 12)
        ]
        frames = record(room, room_camera, np.stack(poses), supersample=1).frames
        with pytest.raises(FitError, match=r'spot|camera (moved|sideways)|move the camera'):
            map_scene(frames, engine, ROUGH)
        result = map_scene(frames, engine, replace(ROUGH, use_depth=True))
        assert any(
            note.startswith('depth: ') and 'keyframes have it' in note for note in result.notes
        )
        meters, degrees = errors_in(result.code, engine, frames[::3]).T
        assert np.median(meters) < 0.05
        assert np.median(degrees) < 1.0

    def test_blank_images(self, views, engine):
        blank = [
            replace(view, load_image=lambda: np.full((240, 320, 3), 90, np.uint8)) for view in views
        ]
        with pytest.raises(FitError, match='looks alike everywhere'):
            map_scene(blank, engine, ROUGH)

    def test_poses_of_other_images(self, views, engine):
        """Shuffled poses explain nothing; whatever is made of them must not be called good."""
        order = np.random.default_rng(1).permutation(len(views))
        shuffled = [
            replace(view, world_from_cam=views[other].world_from_cam)
            for view, other in zip(views, order, strict=True)
        ]
        try:
            quality = map_scene(shuffled, engine, ROUGH).code.info.quality
        except FitError as error:
            assert 'poses' in str(error)
        else:
            assert quality.rating == 'poor'


BAD = {
    'truncated image': ({'load_image': unreadable}, 'cannot be decoded'),
    'no pose': ({'world_from_cam': None}, 'no pose'),
    'nan pose': ({'world_from_cam': np.full((4, 4), np.nan)}, 'nan'),
    'another size': ({'load_image': lambda: np.zeros((120, 160, 3), np.uint8)}, '160x120'),
}


class TestLeftOut:
    """Bad frames among good ones, also among those that are held out (9 and 18 of 28)."""

    @pytest.mark.parametrize(
        'kinds',
        [
            dict(zip((3, 12, 15, 21), BAD, strict=True)),
            {9: 'truncated image', 18: 'no pose'},
            {9: 'nan pose', 18: 'another size'},
        ],
        ids=['mapped', 'held out', 'held out too'],
    )
    def test_skipped_and_named(self, views, engine, kinds):
        frames: list[Frame] = list(views)
        for index, kind in kinds.items():
            frames[index] = replace(frames[index], **BAD[kind][0])
        options = replace(ROUGH, validation=ValidationOptions(held_out=0.08))
        result = map_scene(frames, engine, options)
        told = dict(entry.split(': ', 1) for entry in result.skipped)
        assert told.keys() == {views[index].name for index in kinds}
        for index, kind in kinds.items():
            assert BAD[kind][1] in told[views[index].name]
        good = len(views) - len(kinds)
        assert len(result.code.keyframes) + result.code.info.quality.held_out == good


class TestCancelling:
    @pytest.mark.parametrize('stage', ['encode', 'triangulate', 'fit'])
    def test_at_any_stage(self, views, engine, quick, stage):
        reached = []

        def progress(name, fraction, detail):
            assert 0.0 <= fraction <= 1.0
            reached.append(name)

        with pytest.raises(FitCancelled, match='cancelled'):
            map_scene(
                views,
                engine,
                quick,
                monitor=Monitor(progress, lambda: reached[-1:] == [stage]),
            )
        assert reached.count(stage) == 1


class TestLenses:
    def test_fisheye(self, room, engine):
        """A lens of 150 degrees across is mapped and localized without undistorting the image."""
        K = np.array([[92.0, 0.0, 127.0], [0.0, 92.5, 119.0], [0.0, 0.0, 1.0]])
        camera = Camera('equidistant', 256, 240, K, [0.02, -0.005, 0.001, 0.0])
        path = tour(room, 60, seed=7)
        frames = record(room, camera, path[:48:2], supersample=1).frames
        options = replace(
            ROUGH,
            tokens=1024,
            validation=ValidationOptions(held_out=0.0),
            fit=FitOptions(epochs=3, buffer_patches=20_000),
        )
        code = map_scene(frames, engine, options).code
        held_out = record(room, camera, path[1:48:9], supersample=1).frames
        meters, degrees = errors_in(code, engine, held_out).T
        assert ((meters < 0.2) & (degrees < 5.0)).mean() >= 0.8


def test_a_first_map_comes_before_the_sharp_one(views, engine, queries):
    """One pass of the fit makes a map that finds views."""
    first = []
    options = replace(ROUGH, tokens=1024, fit=FitOptions(epochs=3, buffer_patches=20_000))
    result = map_scene(views, engine, options, on_first_map=first.append)
    assert len(first) == 1
    assert (first[0].embeddings != result.code.embeddings).any()
    assert len(first[0].landmarks) == len(result.code.landmarks) > 0
    assert first[0].info.quality.held_out == result.code.info.quality.held_out
    found = evaluate(Localizer(first[0], engine), queries).summary()
    assert found['localized'] >= len(queries) / 2
