"""Maps of the published tool: there and back without a bit lost, and nothing else is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from map_codes import free_code, map_code

from aceg_ros.errors import MapCodeError
from aceg_ros.maps.ace_g import read_published_map, write_published_map
from aceg_ros.maps.file import read_map, write_map


def content(tokens: int = 40, dim: int = 32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(tokens, dim, generator=generator) * 0.1
    return {'map_embeddings': embeddings, 'mean': torch.tensor([1.5, -0.25, 1 / 3])}


def read(path):
    return read_published_map(path, 'dinov2-1', 'published-1')


class TestRoundTrip:
    def test_of_tensors(self, tmp_path):
        torch.save(content(), tmp_path / 'theirs.pt')
        write_map(tmp_path / 'scene.aceg', read(tmp_path / 'theirs.pt'))
        write_published_map(tmp_path / 'back.pt', read_map(tmp_path / 'scene.aceg'))
        back = torch.load(tmp_path / 'back.pt', weights_only=True)
        assert list(back) == list(content())
        for name, tensor in content().items():
            assert back[name].dtype == tensor.dtype
            assert torch.equal(back[name], tensor), name

    @pytest.mark.parametrize('name', ['small', 'deep'])
    def test_of_published_files(self, shared, tmp_path, name):
        path = shared / 'fixtures' / 'published_aceg' / f'{name}_map.pt'
        write_map(tmp_path / 'scene.aceg', read(path))
        write_published_map(tmp_path / 'back.pt', read_map(tmp_path / 'scene.aceg'))
        first, second = (torch.load(p, weights_only=True) for p in (path, tmp_path / 'back.pt'))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)

    def test_of_a_code(self, tmp_path):
        code = free_code()
        write_published_map(tmp_path / 'map.pt', code)
        np.testing.assert_array_equal(read(tmp_path / 'map.pt').embeddings, code.embeddings)
        np.testing.assert_array_equal(read(tmp_path / 'map.pt').mean, code.mean)

    def test_of_a_place_far_from_the_origin(self, tmp_path):
        far = torch.tensor([448261.25, -5411932.5, 213.75])
        torch.save(content() | {'mean': far}, tmp_path / 'theirs.pt')
        code = read(tmp_path / 'theirs.pt')
        assert np.abs(code.mean).max() <= 50.0
        write_published_map(tmp_path / 'back.pt', code)
        assert torch.equal(torch.load(tmp_path / 'back.pt', weights_only=True)['mean'], far)

    def test_says_what_it_was_made_for(self, tmp_path):
        torch.save(content(), tmp_path / 'theirs.pt')
        info = read(tmp_path / 'theirs.pt').info
        assert (info.encoder, info.regressor) == ('dinov2-1', 'published-1')
        assert info.quality.rating == 'unknown'


class TestRefused:
    def test_missing(self, tmp_path):
        with pytest.raises(MapCodeError, match='no published map at'):
            read(tmp_path / 'none.pt')

    def test_cut_short(self, tmp_path):
        torch.save(content(), tmp_path / 'map.pt')
        whole = (tmp_path / 'map.pt').read_bytes()
        for part in (0, 0.3, 0.9, 0.999):
            (tmp_path / 'map.pt').write_bytes(whole[: int(part * len(whole))])
            with pytest.raises(MapCodeError, match='download it again'):
                read(tmp_path / 'map.pt')

    @pytest.mark.parametrize('value', [[1], {}, {'mean': 3}, {**content(), 'more': 1}, 'text'])
    def test_something_else(self, tmp_path, value):
        torch.save(value, tmp_path / 'map.pt')
        with pytest.raises(MapCodeError, match='no published map'):
            read(tmp_path / 'map.pt')

    @pytest.mark.parametrize(
        ('name', 'value', 'words'),
        [
            ('map_embeddings', torch.zeros(3), 'should be'),
            ('map_embeddings', torch.zeros(0, 3), 'should be'),
            ('map_embeddings', torch.zeros(4, 3, dtype=torch.float64), '32-bit'),
            ('map_embeddings', torch.full((4, 3), float('inf')), 'no numbers'),
            ('mean', torch.zeros(4), 'should be'),
            ('mean', torch.zeros(1, 3), 'should be'),
            ('mean', [0.0, 0.0, 0.0], '32-bit'),
            ('mean', torch.full((3,), float('nan')), 'no numbers'),
        ],
    )
    def test_wrong_tensors(self, tmp_path, name, value, words):
        torch.save(content() | {name: value}, tmp_path / 'map.pt')
        with pytest.raises(MapCodeError, match=words):
            read(tmp_path / 'map.pt')

    def test_a_code_with_anchors_is_not_exported(self, tmp_path):
        with pytest.raises(MapCodeError, match='only maps of the published regressor'):
            write_published_map(tmp_path / 'map.pt', map_code())

    def test_a_place_that_their_numbers_cannot_hold(self, tmp_path):
        code = free_code()
        far = replace(code, info=replace(code.info, origin=(448300.0, 5411900.0, 200.0)))
        with pytest.raises(MapCodeError, match='subtract an offset'):
            write_published_map(tmp_path / 'map.pt', far)

    def test_a_place_that_cannot_be_written(self, tmp_path):
        (tmp_path / 'file').touch()
        with pytest.raises(MapCodeError, match='cannot be written'):
            write_published_map(tmp_path / 'file' / 'map.pt', free_code())
