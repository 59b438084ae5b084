"""From a scene's images to its buffers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch

from aceg_ros.engine import Engine
from aceg_ros.lab.pretraining import buffers
from aceg_ros.lab.pretraining.buffers import BufferOptions, make_buffers, scene_buffer
from aceg_ros.lab.pretraining.scenes import Scene
from aceg_ros.lab.pretraining.shards import read_scene
from aceg_ros.lab.pretraining.sources import ProceduralWorlds

SMALL = BufferOptions(tokens=300, mapping_patches=2000, query_patches=100, fit_epochs=2)
# The first is of one room with few things, whose light is computed in seconds.
WORLDS = ProceduralWorlds(2, 253, mapping_views=12, query_views=3, width=208, height=160)


@cache
def small_scene() -> Scene:
    return WORLDS.scene(0)


@pytest.fixture(scope='module')
def buffer():
    return scene_buffer(small_scene(), Engine.load('cpu').encoder, SMALL)


class TestSceneBuffer:
    def test_sizes(self, buffer):
        assert (len(buffer.mapping), len(buffer.query)) == (24, 3)
        assert int(buffer.query.starts[-1]) == len(buffer.query.features) == 300
        assert buffer.hidden.shape == (24, 12)
        assert len(buffer.owner) == len(buffer.fitted.anchors) <= 300

    def test_points_lie_on_their_rays(self, buffer):
        for views in (buffer.mapping, buffer.query):
            view = torch.arange(len(views)).repeat_interleave(views.starts.diff())
            offset = views.points3d - views.centers[view]
            known = torch.isfinite(offset).all(dim=1)
            assert known.float().mean() > 0.7
            along = (offset * views.rays).sum(dim=1, keepdim=True)
            assert float((offset - along * views.rays)[known].norm(dim=1).max()) < 1e-3
            assert (along[known] > 0).all()

    def test_the_code_knows_about_where_things_are(self, buffer):
        distance = torch.cdist(buffer.mapping.points3d.nan_to_num(1e6), buffer.fitted.anchors)
        known = torch.isfinite(buffer.mapping.points3d).all(dim=1)
        assert float(distance.amin(dim=1)[known].median()) < 0.4

    def test_a_view_hides_its_own_tokens(self, buffer):
        own = torch.arange(24) // 2
        assert buffer.hidden[torch.arange(24), own].all()


class TestWorlds:
    def test_same_scene_at_every_call(self):
        first, again = small_scene(), WORLDS.scene(0)
        for one, two in ((first.mapping[3], again.mapping[3]), (first.query[1], again.query[1])):
            assert np.array_equal(one.image(), two.image())
            assert np.array_equal(one.world_from_cam, two.world_from_cam)

    def test_query_views_differ_in_light(self):
        scene = small_scene()
        assert scene.kinds[:2] == ['light', 'light+moved']
        means = [frame.image().mean() for frame in scene.query]
        assert np.std(means) > 1


@dataclass(frozen=True)
class Sources:
    """Two scenes, of which the second cannot be mapped."""

    def __len__(self) -> int:
        return 2

    def name(self, index: int) -> str:
        return f'scene-{index}'

    def scene(self, index: int) -> Scene:
        small = small_scene()
        return Scene(self.name(index), small.mapping[: 12 if index == 0 else 2], small.query, ())


class TestMaking:
    @pytest.fixture(autouse=True)
    def in_this_process(self, monkeypatch):
        """Spawned processes load PyTorch, which takes seconds."""
        from multiprocessing.pool import ThreadPool

        class Context:
            def Pool(self, processes, initializer=None, maxtasksperchild=None):
                return ThreadPool(processes)

        monkeypatch.setattr(buffers.multiprocessing, 'get_context', lambda _: Context())

    def test_what_fails_is_named_and_the_rest_made(self, tmp_path):
        failed = make_buffers([Sources()], tmp_path, SMALL, 1, lambda _: None)
        assert [line.split(':')[0] for line in failed] == ['scene-1']
        assert [file.name for file in tmp_path.iterdir()] == ['scene-0.safetensors']
        assert read_scene(tmp_path / 'scene-0.safetensors').name == 'scene-0'

    def test_a_scene_is_made_once(self, tmp_path):
        done = tmp_path / 'scene-0.safetensors'
        done.write_bytes(b'there')
        make_buffers([Sources()], tmp_path, SMALL, 1, lambda _: None)
        assert done.read_bytes() == b'there'
