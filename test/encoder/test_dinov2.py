"""DINOv2 as an encoder, with tiny networks made on the spot."""

from __future__ import annotations

import builtins
import json

import numpy as np
import pytest
import torch
from dinov2_networks import tiny_dinov2
from safetensors.torch import load_file, save_file

from aceg_ros.encoder import hub
from aceg_ros.encoder.base import image_tensor
from aceg_ros.encoder.dinov2 import Dinov2Encoder, identity_of
from aceg_ros.encoder.hub import REVISIONS, dinov2_folder, dinov2_folders, download_command
from aceg_ros.encoder.view import cropped_view, full_size, patch_rays
from aceg_ros.errors import ImageError, WeightsError
from aceg_ros.geometry.cameras import Camera

CAMERA = Camera.pinhole(640, 480, 520.0, 525.0, 318.0, 241.0)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tiny_dinov2(tmp_path_factory.mktemp('networks') / 'tiny')


@pytest.fixture(scope='module')
def encoder(folder):
    return Dinov2Encoder.load(folder)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


class TestView:
    def test_short_side_480_cut_to_whole_patches(self, encoder):
        view, camera = encoder.view(noise(480, 640, 3), CAMERA)
        assert view.shape == (476, 630, 3)
        assert (camera.width, camera.height) == (630, 476)
        np.testing.assert_array_equal(camera.K, CAMERA.K)

    @pytest.mark.parametrize(
        ('size', 'expected'), [((960, 1280), (476, 630)), ((640, 480), (630, 476))]
    )
    def test_other_sizes(self, encoder, size, expected):
        height, width = size
        view, camera = encoder.view(noise(height, width, 3), CAMERA.scaled(width, height))
        assert view.shape[:2] == (camera.height, camera.width) == expected

    def test_small_images_are_enlarged(self, encoder):
        view, camera = encoder.view(noise(120, 160, 3), CAMERA.scaled(160, 120))
        assert view.shape[:2] == (476, 630)
        np.testing.assert_allclose(camera.K, CAMERA.K)

    def test_rays_stay_those_of_the_image(self):
        big = CAMERA.scaled(1920, 1440)
        _, camera = cropped_view(noise(1440, 1920, 3), big, 480, 14)
        centers, rays = patch_rays(camera, 14)
        whole = full_size(centers, camera, big)
        np.testing.assert_allclose(big.rays(whole), rays, atol=1e-9)
        np.testing.assert_allclose(whole[0], 3 * (6.5 + 0.5) - 0.5)

    def test_another_size_than_the_camera(self, encoder):
        with pytest.raises(ImageError, match='calibrated for 640x480'):
            encoder.view(noise(100, 100, 3), CAMERA)


class TestEncoding:
    @pytest.mark.parametrize('registers', [0, 4])
    def test_tokens_are_the_last_layers_without_class_and_registers(self, tmp_path, registers):
        folder = tiny_dinov2(tmp_path / 'net', registers)
        encoder, image = Dinov2Encoder.load(folder), noise(84, 112, 3)
        encoded = encoder.encode(image_tensor(image))
        pixels = (torch.from_numpy(image).permute(2, 0, 1)[None] / 255 - 0.4) / 0.25
        with torch.no_grad():
            tokens = encoder.model(pixels).last_hidden_state[0, 1 + registers :]
        assert encoded.features.shape == (1, 24, 6, 8)
        torch.testing.assert_close(
            encoded.features[0].flatten(1).T, tokens, atol=0.03, rtol=0.03
        )  # half precision where the processor has it
        np.testing.assert_allclose(encoded.centers()[:2], [[6.5, 6.5], [20.5, 6.5]])

    def test_unit_features(self, folder):
        encoder = Dinov2Encoder.load(folder, unit=True)
        features = encoder.encode(image_tensor(noise(84, 112, 3))).features
        torch.testing.assert_close(features.norm(dim=1), torch.ones(1, 6, 8))

    def test_incomplete_patches_are_cut(self, encoder):
        image = noise(90, 125, 3)
        torch.testing.assert_close(
            encoder.encode(image_tensor(image)).features,
            encoder.encode(image_tensor(image[:84, :112])).features,
        )

    def test_the_most_reliable_are_spread_over_the_image(self, encoder):
        reliability = encoder.encode(image_tensor(noise(476, 630, 3))).reliability[0]
        assert reliability.shape == (34, 45)
        assert 0.98 < reliability.min() <= reliability.max() <= 1
        chosen = reliability.flatten().topk(200).indices
        quarters = torch.stack([chosen // 45 < 17, chosen % 45 < 22])
        assert (quarters.float().mean(dim=1) - 0.5).abs().max() < 0.1

    def test_several_images_at_once(self, encoder):
        images = noise(2, 84, 112, 3)
        both = encoder.encode(image_tensor(images))
        assert both.features.shape[0] == both.reliability.shape[0] == 2
        single = encoder.encode(image_tensor(images[1]))
        torch.testing.assert_close(both.features[1:], single.features, atol=0.02, rtol=0.02)

    @pytest.mark.parametrize('shape', [(3, 84, 112), (1, 1, 84, 112), (1, 3, 60, 112)])
    def test_no_image(self, encoder, shape):
        with pytest.raises(ImageError, match='at least 64x64'):
            encoder.encode(torch.zeros(shape))


class TestIdentity:
    def test_is_that_of_weights_and_use(self, folder, tmp_path):
        identity = Dinov2Encoder.load(folder).identity
        assert identity == identity_of(folder, unit=False)
        assert Dinov2Encoder.load(folder, unit=True).identity == identity + '-unit'
        other = tiny_dinov2(tmp_path / 'other', seed=1)
        assert Dinov2Encoder.load(other).identity != identity
        assert identity.startswith('dinov2-')

    def test_is_that_of_the_configuration(self, tmp_path):
        folder = tiny_dinov2(tmp_path / 'net')
        before = identity_of(folder, unit=False)
        change(folder, num_attention_heads=4)
        assert identity_of(folder, unit=False) != before


def change(folder, **values):
    path = folder / 'config.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


class TestUnfit:
    @pytest.fixture
    def net(self, tmp_path):
        return tiny_dinov2(tmp_path / 'net')

    def test_empty_folder(self, tmp_path):
        with pytest.raises(WeightsError, match='does not hold a DINOv2 network'):
            Dinov2Encoder.load(tmp_path)

    @pytest.mark.parametrize('values', [{'model_type': 'vit'}, {'patch_size': 16}])
    def test_another_network(self, net, values):
        change(net, **values)
        with pytest.raises(WeightsError, match='does not hold'):
            Dinov2Encoder.load(net)

    def test_no_json(self, net):
        (net / 'config.json').write_text('{')
        with pytest.raises(WeightsError, match='does not hold'):
            Dinov2Encoder.load(net)

    def test_no_weights(self, net):
        (net / 'model.safetensors').unlink()
        with pytest.raises(WeightsError, match='does not hold'):
            Dinov2Encoder.load(net)

    def test_weights_cut_short(self, net):
        whole = (net / 'model.safetensors').read_bytes()
        (net / 'model.safetensors').write_bytes(whole[: len(whole) // 2])
        with pytest.raises(WeightsError, match='does not hold'):
            Dinov2Encoder.load(net)

    @pytest.mark.parametrize('harm', ['missing', 'shape', 'nan'])
    def test_weights_that_do_not_fit(self, net, harm):
        tensors = load_file(net / 'model.safetensors')
        name = 'layernorm.weight'
        if harm == 'missing':
            del tensors[name]
        else:
            tensors[name] = torch.full((24 if harm == 'nan' else 7,), float('nan'))
        save_file(tensors, net / 'model.safetensors', {'format': 'pt'})
        with pytest.raises(WeightsError, match='does not hold'):
            Dinov2Encoder.load(net)

    def test_pickled_weights_are_not_read(self, net):
        tensors = load_file(net / 'model.safetensors')
        (net / 'model.safetensors').unlink()
        torch.save(tensors, net / 'pytorch_model.bin')
        with pytest.raises(WeightsError, match='does not hold'):
            Dinov2Encoder.load(net)

    def test_without_the_extra(self, net, monkeypatch):
        real = builtins.__import__

        def without(name, *rest):
            if name == 'transformers':
                raise ImportError(name)
            return real(name, *rest)

        monkeypatch.setattr(builtins, '__import__', without)
        with pytest.raises(WeightsError, match='needs the package transformers'):
            Dinov2Encoder.load(net)


class TestWhere:
    @pytest.fixture(autouse=True)
    def places(self, tmp_path, monkeypatch):
        monkeypatch.setattr(hub, 'model_folders', lambda: [tmp_path / 'models'])
        monkeypatch.setattr(hub, '_in_cache', lambda name: None)
        return tmp_path / 'models'

    def test_any_folder(self, tmp_path):
        assert dinov2_folder(str(tmp_path)) == tmp_path

    def test_a_name_in_the_folders_of_models(self, places):
        for name in ('dinov2-small', 'dinov2-with-registers-large'):
            (places / name).mkdir(parents=True)
            (places / name / 'config.json').touch()
        assert dinov2_folder('dinov2') == places / 'dinov2-with-registers-large'
        assert dinov2_folder('dinov2-small') == places / 'dinov2-small'
        assert [folder.name for folder in dinov2_folders()] == [
            'dinov2-with-registers-large',
            'dinov2-small',
        ]

    @pytest.mark.parametrize('name', ['dinov2', *REVISIONS])
    def test_missing_says_how_to_get_it(self, name):
        wanted = 'dinov2-with-registers-large' if name == 'dinov2' else name
        with pytest.raises(WeightsError) as caught:
            dinov2_folder(name)
        assert download_command(wanted) in str(caught.value)
        assert REVISIONS[wanted] in str(caught.value)

    def test_an_unknown_name(self):
        with pytest.raises(WeightsError, match='no encoder dinov9'):
            dinov2_folder('dinov9')

    def test_revisions_are_commits(self):
        assert len(REVISIONS) == 8
        assert all(len(r) == 40 and int(r, 16) for r in REVISIONS.values())


def test_the_hubs_cache_is_looked_into(tmp_path, monkeypatch):
    hugging_face = pytest.importorskip(
        'huggingface_hub.constants', reason='the extra dinov2 is not installed'
    )
    name = 'dinov2-small'
    snapshot = tmp_path / f'models--facebook--{name}' / 'snapshots' / REVISIONS[name]
    snapshot.mkdir(parents=True)
    monkeypatch.setattr(hugging_face, 'HF_HUB_CACHE', str(tmp_path))
    monkeypatch.setattr(hub, 'model_folders', list)
    (snapshot / 'config.json').touch()
    with pytest.raises(WeightsError):
        dinov2_folder(name)
    (snapshot / 'model.safetensors').touch()
    assert dinov2_folder(name) == snapshot
