"""Where model files are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from aceg_ros import models
from aceg_ros.errors import WeightsError
from aceg_ros.models import model_path


def put(folder: Path) -> Path:
    """Make a model file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / 'net.safetensors'
    file.touch()
    return file


@pytest.fixture(autouse=True)
def no_folder_of_the_users(tmp_path, monkeypatch):
    monkeypatch.delenv('ACEG_MODELS', raising=False)
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'data'))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Let the package lie in `<prefix>/<site>`; returns a function (site) -> prefix."""

    def install(site: str) -> Path:
        monkeypatch.setattr(models, '_PACKAGE', tmp_path / site / 'aceg_ros')
        return tmp_path

    return install


class TestCheckout:
    def test_models_beside_the_package(self, installed):
        root = installed('.')
        (root / 'package.xml').touch()
        file = put(root / 'models')
        assert model_path('net.safetensors') == file

    def test_a_share_folder_above_is_of_another_installation(self, installed):
        root = installed('src/checkout')
        (root / 'src/checkout').mkdir(parents=True)
        (root / 'src/checkout/package.xml').touch()
        put(root / 'share/aceg_ros/models')
        with pytest.raises(WeightsError):
            model_path('net.safetensors')


class TestInstalled:
    @pytest.mark.parametrize(
        'site',
        [
            'lib/python3.12/site-packages',
            'lib/python3/dist-packages',
            'local/lib/python3.10/dist-packages',
            'Lib/site-packages',
            '.',
        ],
    )
    def test_share_of_the_prefix(self, installed, site):
        file = put(installed(site) / 'share/aceg_ros/models')
        assert model_path('net.safetensors') == file

    def test_a_models_folder_among_the_site_packages_is_a_stranger(self, installed):
        prefix = installed('lib/python3.12/site-packages')
        put(prefix / 'lib/python3.12/site-packages/models')
        with pytest.raises(WeightsError):
            model_path('net.safetensors')


class TestFolderOfTheUsers:
    def test_their_data_folder(self, installed, tmp_path):
        put(installed('lib/python3.12/site-packages') / 'share/aceg_ros/models')
        file = put(tmp_path / 'data/aceg_ros/models')
        assert model_path('net.safetensors') == file

    def test_comes_first(self, installed, tmp_path, monkeypatch):
        put(installed('lib/python3.12/site-packages') / 'share/aceg_ros/models')
        file = put(tmp_path / 'mine')
        monkeypatch.setenv('ACEG_MODELS', str(tmp_path / 'mine'))
        assert model_path('net.safetensors') == file

    def test_need_not_hold_every_model(self, installed, tmp_path, monkeypatch):
        file = put(installed('lib/python3.12/site-packages') / 'share/aceg_ros/models')
        monkeypatch.setenv('ACEG_MODELS', str(tmp_path / 'mine'))
        assert model_path('net.safetensors') == file


def test_the_error_names_every_place(installed, tmp_path, monkeypatch):
    prefix = installed('lib/python3.12/site-packages')
    (prefix / 'share/aceg_ros').mkdir(parents=True)
    monkeypatch.setenv('ACEG_MODELS', str(tmp_path / 'mine'))
    with pytest.raises(WeightsError) as caught:
        model_path('net.safetensors')
    data = tmp_path / 'data/aceg_ros/models'
    for place in (tmp_path / 'mine', data, prefix / 'share/aceg_ros/models'):
        assert str(place) in str(caught.value)
