"""Files of scene buffers."""

from __future__ import annotations

import pytest
import torch
from made_up_scenes import make_scene

from aceg_ros.errors import DatasetError
from aceg_ros.lab.pretraining.shards import (
    feature_length,
    read_scene,
    scene_files,
    write_scene,
)


def test_comes_back_as_it_was(tmp_path):
    scene = make_scene(0)
    write_scene(scene, tmp_path / 'a.safetensors')
    back = read_scene(tmp_path / 'a.safetensors')
    assert (back.name, back.kinds, back.depth) == (scene.name, scene.kinds, scene.depth)
    for part in ('mapping', 'query'):
        for name, value in vars(getattr(scene, part)).items():
            assert getattr(getattr(back, part), name).equal(value)
    assert back.hidden.equal(scene.hidden) and back.owner.equal(scene.owner)
    torch.testing.assert_close(
        back.start('fitted').embeddings, scene.fitted.embeddings, atol=1e-3, rtol=0
    )
    assert back.start('swept').anchors.equal(scene.swept.anchors)


@pytest.mark.parametrize('keep', [0, 100, -10])
def test_damaged_files(tmp_path, keep):
    path = tmp_path / 'a.safetensors'
    write_scene(make_scene(0), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatasetError, match='made again'):
        read_scene(path)
    with pytest.raises(DatasetError, match='made again'):
        feature_length([path])


def test_a_folder_without_scenes(tmp_path):
    with pytest.raises(DatasetError, match='--make'):
        scene_files(tmp_path)


def test_scenes_of_two_encoders_do_not_go_together(tmp_path):
    files = [tmp_path / 'a.safetensors', tmp_path / 'b.safetensors']
    for file, length in zip(files, (96, 64), strict=True):
        write_scene(make_scene(0, length=length), file)
    assert [feature_length([file]) for file in files] == [96, 64]
    with pytest.raises(DatasetError, match='one encoder'):
        feature_length(files)
