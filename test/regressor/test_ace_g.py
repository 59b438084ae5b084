"""The published architecture: it answers as the reference does, and its files are checked."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from published_heads import CONFIG, published_state, random_network
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from aceg_ros.errors import WeightsError
from aceg_ros.regressor.ace_g import LICENSE, AceGRegressor
from aceg_ros.regressor.base import SceneCoordinates
from aceg_ros.regressor.files import (
    described,
    load_regressor,
    published_metadata,
    read_published_head,
    save_regressor,
)

NAMES = ('small', 'deep')


def answers(
    fixtures: Path, name: str, network: AceGRegressor
) -> tuple[SceneCoordinates, torch.Tensor, torch.Tensor]:
    """What the network says of the fixture's patches, and what the reference says."""
    code = torch.load(fixtures / f'{name}_map.pt', weights_only=True)
    reference = torch.load(fixtures / f'{name}_io.pt', weights_only=True)
    features = reference['patch_embeddings'].permute(0, 2, 3, 1).flatten(0, 2)
    with torch.no_grad():
        read = network(features, code['map_embeddings'], code['mean'])
    points = reference['scene_coordinates'].permute(0, 2, 3, 1).reshape(-1, 3)
    return read, points, reference['uncertainties'].flatten()


@pytest.fixture(scope='module')
def fixtures(shared) -> Path:
    return shared / 'fixtures' / 'published_aceg'


@pytest.mark.parametrize('name', NAMES)
class TestReference:
    def test_in_full_precision(self, fixtures, name):
        network = read_published_head(fixtures / f'{name}_head.pt')
        read, points, sigma = answers(fixtures, name, network)
        torch.testing.assert_close(read.points3d, points, atol=1e-5, rtol=0)
        # Sigma is an exponential of up to some tens: what counts is its relative error.
        torch.testing.assert_close(read.sigma, sigma, atol=1e-5, rtol=5e-6)

    @pytest.mark.parametrize(
        ('kind', 'points_bound', 'sigma_bound'),
        [(torch.bfloat16, 0.1, 0.06), (torch.float16, 0.012, 0.008)],
    )
    def test_in_half_precision(self, fixtures, name, kind, points_bound, sigma_bound):
        """The bounds that the documentation states; sigma's is relative."""
        network = read_published_head(fixtures / f'{name}_head.pt')
        with torch.autocast('cpu', kind):
            read, points, sigma = answers(fixtures, name, network)
        error = (read.points3d - points).abs().max()
        relative = (read.sigma / sigma - 1).abs().max()
        assert read.points3d.dtype == torch.float32
        assert error < points_bound
        assert relative < sigma_bound


@pytest.fixture
def head(tmp_path) -> Path:
    """A published head file."""
    path = tmp_path / 'head.pt'
    torch.save(published_state(random_network()), path)
    return path


def changed(path: Path, **values: object) -> Path:
    """Write the file again with some configuration values replaced."""
    state = torch.load(path, weights_only=True)
    state['_extra_state']['_head_config_dict'] |= values
    torch.save(state, path)
    return path


class TestNetwork:
    def test_order_of_the_code_does_not_matter(self):
        network = random_network()
        features, vectors = torch.randn(9, 24), torch.randn(20, 32)
        mean, order = torch.tensor([1.0, 2.0, 3.0]), torch.randperm(20)
        first, second = (network(features, v, mean) for v in (vectors, vectors[order]))
        torch.testing.assert_close(first.points3d, second.points3d)

    def test_mean_is_added(self):
        network, features, vectors = random_network(), torch.randn(9, 24), torch.randn(20, 32)
        here = network(features, vectors, torch.zeros(3))
        there = network(features, vectors, torch.tensor([1.0, 2.0, 3.0]))
        torch.testing.assert_close(there.points3d - here.points3d, torch.tensor([[1.0, 2, 3]] * 9))
        torch.testing.assert_close(there.sigma, here.sigma)

    def test_identity_is_that_of_weights_and_shape(self):
        network = random_network()
        assert network.identity() == random_network().identity()
        assert network.identity() != random_network(seed=1).identity()
        assert network.identity() != random_network(replace(CONFIG, heads=2)).identity()

    @pytest.mark.parametrize(
        'values', [{'dim': 0}, {'heads': 3}, {'blocks': 10**9}, {'mlp_ratio': -1.0}]
    )
    def test_impossible_shapes(self, values):
        with pytest.raises(ValueError, match='impossible'):
            replace(CONFIG, **values)


class TestImport:
    @pytest.mark.parametrize('config', [CONFIG, replace(CONFIG, out_layers=3, out_norm=False)])
    def test_there_and_back(self, tmp_path, config):
        network = random_network(config)
        torch.save(published_state(network), tmp_path / 'head.pt')
        read = read_published_head(tmp_path / 'head.pt')
        file = tmp_path / 'head.safetensors'
        save_regressor(read, file)
        loaded = load_regressor(file)
        assert loaded.config == config
        assert loaded.identity() == network.identity() == described(file)['identity']
        for name, tensor in network.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor), name
        assert not any(parameter.requires_grad for parameter in loaded.parameters())

    def test_tells_license_and_source(self, head):
        about = published_metadata(head)
        save_regressor(read_published_head(head), head.with_suffix('.safetensors'), about)
        with safe_open(head.with_suffix('.safetensors'), framework='pt') as file:
            metadata = file.metadata()
        assert metadata['license'] == LICENSE
        assert 'non-commercial' in metadata['license']
        assert metadata['source'] == 'head.pt'
        assert len(metadata['source_sha256']) == 64

    def test_a_place_that_cannot_be_written(self, head):
        with pytest.raises(WeightsError, match='could not be written'):
            save_regressor(random_network(), head / 'below.safetensors')


class Evil:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return exec, ('raise SystemExit("executed")',)


class TestForeignHead:
    def test_missing(self, tmp_path):
        with pytest.raises(WeightsError, match='no published head at'):
            read_published_head(tmp_path / 'none.pt')

    @pytest.mark.parametrize('size', [0, 1, 100, 5000])
    def test_random_bytes(self, tmp_path, size):
        path = tmp_path / 'head.pt'
        path.write_bytes(torch.randint(0, 256, (size,), dtype=torch.uint8).numpy().tobytes())
        with pytest.raises(WeightsError, match='download it again'):
            read_published_head(path)

    def test_cut_short(self, head):
        whole = head.read_bytes()
        for part in (0.1, 0.5, 0.9, 0.999):
            head.write_bytes(whole[: int(part * len(whole))])
            with pytest.raises(WeightsError, match='download it again'):
                read_published_head(head)

    @pytest.mark.filterwarnings('ignore:Detected pickle protocol')
    @pytest.mark.parametrize('plain', [False, True])
    def test_code_is_not_run(self, tmp_path, plain):
        if plain:
            (tmp_path / 'head.pt').write_bytes(pickle.dumps({'weight': Evil()}))
        else:
            torch.save({'weight': Evil()}, tmp_path / 'head.pt')
        with pytest.raises(WeightsError, match='no published head'):
            read_published_head(tmp_path / 'head.pt')

    @pytest.mark.parametrize('content', [[1, 2], torch.zeros(3), {}, {'weight': torch.zeros(3)}])
    def test_something_else(self, tmp_path, content):
        torch.save(content, tmp_path / 'head.pt')
        with pytest.raises(WeightsError, match='is no published head'):
            read_published_head(tmp_path / 'head.pt')

    @pytest.mark.parametrize(
        'values',
        [
            {'use_homogeneous': False},
            {'use_uncertainty': False},
            {'dim_map_emb': 16},
            {'dim_emb': 'wide'},
            {'dim_emb': 0},
            {'num_attention_heads': 5},
        ],
    )
    def test_another_kind(self, head, values):
        with pytest.raises(WeightsError, match='none that is known here'):
            read_published_head(changed(head, **values))

    @pytest.mark.parametrize('values', [{'dim_in': 48}, {'num_blocks': 3}, {'final_mlp_layers': 3}])
    def test_weights_of_another_shape(self, head, values):
        with pytest.raises(WeightsError, match='do not fit'):
            read_published_head(changed(head, **values))

    @pytest.mark.parametrize('value', ['text', float('nan')])
    def test_weights_that_are_none(self, head, value):
        state = torch.load(head, weights_only=True)
        name = 'in_mlp.fcs.0.bias'
        state[name] = value if isinstance(value, str) else torch.full_like(state[name], value)
        torch.save(state, head)
        with pytest.raises(WeightsError, match='no number'):
            read_published_head(head)


class TestOwnFile:
    @pytest.fixture
    def path(self, tmp_path) -> Path:
        save_regressor(random_network(), tmp_path / 'net.safetensors')
        return tmp_path / 'net.safetensors'

    def rewrite(self, path: Path, tensors=None, **metadata: str) -> None:
        with safe_open(path, framework='pt') as file:
            texts = dict(file.metadata())
        save_file(tensors or load_file(path), path, texts | metadata)

    def test_missing(self, tmp_path):
        with pytest.raises(WeightsError, match='import-regressor'):
            load_regressor(tmp_path / 'none.safetensors')

    def test_cut_short(self, path):
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(WeightsError, match='or only part of one'):
            load_regressor(path)
        assert described(path) == {}

    def test_foreign(self, tmp_path):
        save_file({'weight': torch.zeros(3)}, tmp_path / 'x.safetensors', {'format': 'pt'})
        with pytest.raises(WeightsError, match='is no regressor'):
            load_regressor(tmp_path / 'x.safetensors')
        assert described(tmp_path / 'x.safetensors') == {}

    def test_changed_weights(self, path):
        tensors = load_file(path)
        tensors['in_mlp.0.bias'][0] += 1
        self.rewrite(path, tensors)
        with pytest.raises(WeightsError, match='was changed'):
            load_regressor(path)

    @pytest.mark.parametrize('config', ['', '[]', '{"dim": "x"}', '{"breadth": 3}'])
    def test_configuration_that_cannot_be_read(self, path, config):
        self.rewrite(path, config=config)
        with pytest.raises(WeightsError, match='or only part of one'):
            load_regressor(path)

    def test_configuration_of_another_network(self, path):
        values = {'dim_in': 48, 'dim': 32, 'blocks': 2, 'heads': 4}
        self.rewrite(path, config=json.dumps(values))
        with pytest.raises(WeightsError, match='do not fit'):
            load_regressor(path)
