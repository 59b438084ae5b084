"""Files that are no whole `.aceg` map, each refused with what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from map_codes import damaged, resealed
from safetensors.numpy import save

from aceg_ros.errors import MapCodeError
from aceg_ros.maps.file import VERSION, read_map


class TestRefused:
    def test_missing(self, tmp_path):
        with pytest.raises(MapCodeError, match='no map at'):
            read_map(tmp_path / 'none.aceg')

    def test_folder(self, tmp_path):
        with pytest.raises(MapCodeError, match='no map at'):
            read_map(tmp_path)

    @pytest.mark.parametrize('metadata', [None, {}, {'format': 'pt'}])
    def test_foreign_safetensors(self, tmp_path, metadata):
        path = tmp_path / 'foreign.safetensors'
        path.write_bytes(save({'weight': np.zeros(3, np.float32)}, metadata))
        with pytest.raises(MapCodeError, match=r'safetensors file but no \.aceg map'):
            read_map(path)

    @pytest.mark.parametrize('size', [0, 1, 7, 8, 9, 100, 5000])
    def test_random_bytes(self, tmp_path, size):
        path = tmp_path / 'noise.aceg'
        path.write_bytes(np.random.default_rng(size).bytes(size))
        with pytest.raises(MapCodeError, match=r'is not an \.aceg map'):
            read_map(path)

    def test_truncated_anywhere(self, path):
        whole = path.read_bytes()
        for length in [*range(0, 40), *np.linspace(40, len(whole) - 1, 60).astype(int)]:
            path.write_bytes(whole[:length])
            with pytest.raises(MapCodeError, match=r'not an \.aceg map, or only part of one'):
                read_map(path)

    def test_lengthened(self, path):
        path.write_bytes(path.read_bytes() + b'\0' * 8)
        with pytest.raises(MapCodeError):
            read_map(path)

    def test_any_flipped_bit(self, path):
        """Whatever byte is harmed, the only exception is MapCodeError, and no map comes out."""
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        header = int.from_bytes(whole[:8].tobytes(), 'little') + 8
        rng = np.random.default_rng(0)
        places = [*rng.integers(0, header, 300), *rng.integers(header, len(whole), 60)]
        for place in places:
            harmed = whole.copy()
            harmed[place] ^= 1 << rng.integers(8)
            path.write_bytes(harmed.tobytes())
            with pytest.raises(MapCodeError):
                read_map(path)

    def test_tampered_tensor(self, path):
        damaged(path, tensors=lambda tensors: tensors['anchors'].__setitem__((5, 1), 4.0))
        with pytest.raises(MapCodeError, match='was changed after it was written'):
            read_map(path)

    def test_tampered_description(self, path):
        def another_encoder(metadata):
            metadata['map'] = metadata['map'].replace('"encoder-1"', '"encoder-2"')

        damaged(path, metadata=another_encoder)
        with pytest.raises(MapCodeError, match='was changed after it was written'):
            read_map(path)

    @pytest.mark.parametrize('version', [str(int(VERSION) + 1), '1', '2', '3', '0', '1.5', ''])
    def test_another_version(self, path, version):
        damaged(path, metadata=lambda metadata: metadata.update(version=version))
        with pytest.raises(MapCodeError, match=f'version {version or "unknown"}'):
            read_map(path)

    @pytest.mark.parametrize(
        'name', ['anchors', 'embedding_scales', 'keyframes', 'landmark_templates']
    )
    def test_missing_tensor(self, path, name):
        resealed(path, tensors=lambda tensors: tensors.pop(name))
        with pytest.raises(MapCodeError, match=name):
            read_map(path)

    def test_extra_tensor(self, path):
        resealed(path, tensors=lambda tensors: tensors.update(more=np.zeros(3)))
        with pytest.raises(MapCodeError, match='more'):
            read_map(path)

    @pytest.mark.parametrize(
        ('name', 'change'),
        [
            ('anchors', lambda a: a[:-1]),
            ('anchors', lambda a: a[:, :2]),
            ('anchors', lambda a: a.astype(np.float64)),
            ('anchors', lambda a: np.array(1.0, np.float32)),
            ('embeddings', lambda a: a.astype(np.int16)),
            ('embeddings', lambda a: a[:, 0]),
            ('log_sigma', lambda a: a[:, None]),
            ('colors', lambda a: a[1:]),
            ('keyframes', lambda a: a[:, :3]),
            ('keyframes', lambda a: a[:0]),
            ('landmarks', lambda a: a[:-1]),
            ('landmarks', lambda a: a[:, :2]),
            ('landmark_templates', lambda a: a[1:]),
            ('landmark_templates', lambda a: a[:, :-1]),
            ('landmark_templates', lambda a: a.reshape(len(a), -1)),
            ('landmark_templates', lambda a: a.astype(np.int8)),
            ('landmark_keyframes', lambda a: a[:0]),
            ('landmark_keyframes', lambda a: a.astype(np.int16)),
            ('landmark_angles', lambda a: np.append(a, a[:1])),
            ('landmark_angles', lambda a: a[:, None]),
            ('landmark_angles', lambda a: a.astype(np.float64)),
        ],
    )
    def test_wrong_shape_or_type(self, path, name, change):
        resealed(path, tensors=lambda t: t.update({name: np.copy(change(t[name]), order='C')}))
        with pytest.raises(MapCodeError, match=r'shape|damaged'):
            read_map(path)

    @pytest.mark.parametrize('index', [7, 65535])
    def test_landmark_of_a_keyframe_that_is_not_there(self, path, index):
        resealed(path, tensors=lambda t: t['landmark_keyframes'].__setitem__(-1, index))
        with pytest.raises(MapCodeError, match='keyframes that it does not have'):
            read_map(path)

    def test_no_tokens(self, path):
        def emptied(tensors):
            for name in (
                'embeddings',
                'embedding_scales',
                'anchors',
                'log_sigma',
                'log_prior',
                'colors',
            ):
                tensors[name] = tensors[name][:0]

        resealed(path, tensors=emptied)
        with pytest.raises(MapCodeError, match='embeddings has shape'):
            read_map(path)

    @pytest.mark.parametrize(
        'name', ['anchors', 'log_sigma', 'keyframes', 'landmarks', 'landmark_angles']
    )
    @pytest.mark.parametrize('value', [np.nan, np.inf])
    def test_not_a_number(self, path, name, value):
        resealed(path, tensors=lambda tensors: tensors[name].reshape(-1).__setitem__(0, value))
        with pytest.raises(MapCodeError, match=f'{name} holds values that are no numbers'):
            read_map(path)

    @pytest.mark.parametrize(
        'text',
        ['', 'no json', '[]', '{}', 'null'],
    )
    def test_description_that_cannot_be_read(self, path, text):
        resealed(path, metadata=lambda metadata: metadata.update(map=text))
        with pytest.raises(MapCodeError, match='description inside'):
            read_map(path)

    @pytest.mark.parametrize(
        'change',
        [
            {'kind': 'magic'},
            {'kind': ['free']},
            {'cameras': 3},
            {'cameras': [{'model': 'pinhole'}]},
            {'cameras': ['x']},
            {'quality': 4},
            {'quality': {}},
            {'quality': {'rating': 'splendid', 'thin': []}},
            {'quality': {'rating': 'good', 'thin': [{'frame': 'a', 'position': [1.0, 2.0]}]}},
            {'quality': {'rating': 'good', 'thin': [], 'smell': 'fine'}},
            {'angular_error': None},
            {'angular_error': float('nan')},
            {'view_error': -0.01},
            {'covariance_scale': 0.0},
            {'covariance_scale': 2.0},
            {'origin': None},
            {'origin': [1.0, 2.0]},
            {'origin': [1.0, 2.0, float('nan')]},
            {'origin': ['a', 'b', 'c']},
        ],
    )
    def test_entry_of_the_description_that_cannot_be_read(self, path, change):
        def changed(metadata):
            metadata['map'] = json.dumps(json.loads(metadata['map']) | change)

        resealed(path, metadata=changed)
        with pytest.raises(MapCodeError, match='description inside'):
            read_map(path)

    @pytest.mark.parametrize(
        'name', ['kind', 'encoder', 'cameras', 'quality', 'angular_error', 'origin']
    )
    def test_description_that_lacks_an_entry(self, path, name):
        def shortened(metadata):
            values = json.loads(metadata['map'])
            del values[name]
            metadata['map'] = json.dumps(values)

        resealed(path, metadata=shortened)
        with pytest.raises(MapCodeError, match=f"description inside .*'{name}'"):
            read_map(path)

    def test_every_message_names_the_file(self, path):
        path.write_bytes(b'nothing')
        with pytest.raises(MapCodeError, match=str(path)):
            read_map(path)


class TestSessionsThatDoNotFit:
    @pytest.mark.parametrize(
        ('name', 'value'), [('token_sessions', 0), ('token_sessions', 2), ('keyframe_sessions', 1)]
    )
    def test_marks_of_a_session_that_is_not_there(self, path, name, value):
        resealed(path, tensors=lambda tensors: tensors[name].__setitem__(0, value))
        with pytest.raises(MapCodeError, match='of its sessions does not fit together'):
            read_map(path)

    @pytest.mark.parametrize(
        'change',
        [
            lambda sessions: sessions.clear(),
            lambda sessions: sessions.append(sessions[0]),
            lambda sessions: sessions[0].update(cameras=[1]),
        ],
        ids=['none', 'one name twice', 'a camera that is not there'],
    )
    def test_descriptions(self, path, change):
        def changed(metadata):
            values = json.loads(metadata['map'])
            change(values['sessions'])
            metadata['map'] = json.dumps(values)

        resealed(path, metadata=changed)
        with pytest.raises(MapCodeError, match='of its sessions does not fit together'):
            read_map(path)
