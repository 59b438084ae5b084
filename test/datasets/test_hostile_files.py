"""Files made to do harm: none runs code, reads or writes elsewhere, or takes memory without end.

Damaged files are the business of fuzz.py. docs/security.md says what is promised.
"""

from __future__ import annotations

import ast
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts import colmap_text, nerf, picture, plain, save, tum
from map_codes import map_code, resealed

from aceg_ros.config import Config
from aceg_ros.datasets import RecordingWriter, open_dataset
from aceg_ros.datasets.calibration import read_camera
from aceg_ros.datasets.encodings import decode_compressed, decode_compressed_depth
from aceg_ros.errors import AcegError, CameraError, DatasetError, MapCodeError, WeightsError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.encoder_training.groups import ViewGroup
from aceg_ros.maps.ace_g import read_published_map
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.options import configured_by_file
from aceg_ros.regressor.files import load_regressor

ROOT = Path(__file__).resolve().parents[2]
CAMERA = Camera.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)
IMAGE = np.zeros((48, 64, 3), np.uint8)
# Bytes that reading a file of some kilobytes may take, beside the libraries.
MEMORY = 1 << 30


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), 'w'))


@pytest.fixture
def mark(tmp_path) -> Path:
    """A file that is there if code of another file ran."""
    return tmp_path / 'mark'


class TestNoCodeIsRun:
    def test_of_pickles_that_torch_reads(self, tmp_path, mark):
        for name, bad in (
            ('zip.pt', lambda file: torch.save({'mean': Touch(mark)}, file)),
            ('plain.pt', lambda file: file.write_bytes(pickle.dumps({'mean': Touch(mark)}))),
        ):
            bad(tmp_path / name)
            with pytest.raises(MapCodeError, match='is no published map'):
                read_published_map(tmp_path / name, 'e', 'r')
        assert not mark.exists()
        pickle.loads((tmp_path / 'plain.pt').read_bytes())
        assert mark.exists()  # such a pickle works

    def test_of_pickles_in_arrays(self, tmp_path, mark):
        objects = np.array([Touch(mark)], dtype=object)
        np.savez(tmp_path / 'g.npz', images=objects, points=objects, footprint=objects)
        with pytest.raises(DatasetError, match='is no group of views'):
            ViewGroup.load(tmp_path / 'g.npz')
        assert not mark.exists()

    @pytest.mark.parametrize(
        'text', ['width: !!python/object/apply:os.system ["touch {}"]', '!!python/name:os.system']
    )
    def test_of_tags_in_yaml(self, tmp_path, mark, text):
        file = tmp_path / 'calibration.yaml'
        file.write_text(text.format(mark))
        with pytest.raises(CameraError):
            read_camera(file)
        with pytest.raises(AcegError):
            configured_by_file(Config(), file)
        assert not mark.exists()

    def test_of_definitions_in_a_bag(self, tmp_path, mark):
        """The library turns definitions of messages into code, of names and numbers alone."""
        pytest.importorskip('rosbags')
        from bag_messages import StoragePlugin, camera, poses, write_bag

        bag = write_bag(tmp_path / 'bag', camera() + poses(), StoragePlugin.MCAP)
        (file,) = bag.glob('*.mcap')
        data = file.read_bytes()
        line = b'uint32 height\nuint32 width\n'
        assert line in data
        code = f"uint32 x=open('{mark}','w')\n".encode()
        for harm in (code, code.replace(b'=', b' ')):
            file.write_bytes(data.replace(line, harm[: len(line)].ljust(len(line), b'\n')))
            with pytest.raises(DatasetError):
                open_dataset(bag)
        assert not mark.exists()

    def test_by_the_code_itself(self):
        """Whatever could run a file's code is called in its safe form only, and nothing else."""
        wrong = []
        for path in sorted((ROOT / 'aceg_ros').rglob('*.py')):
            tree = ast.parse(path.read_text(encoding='utf-8'))
            for node in ast.walk(tree):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    names = [alias.name for alias in node.names] + [getattr(node, 'module', '')]
                    wrong += [
                        f'{path.name} imports {name}'
                        for name in names
                        if name in ('pickle', 'marshal', 'shelve', 'dill', 'joblib', 'cloudpickle')
                    ]
                if not isinstance(node, ast.Call):
                    continue
                called, given = ast.unparse(node.func), {k.arg: k.value for k in node.keywords}
                safe = given.get('weights_only')
                if called == 'torch.load' and not (safe and ast.unparse(safe) == 'True'):
                    wrong.append(f'{path.name}: torch.load without weights_only')
                unsafe = given.get('allow_pickle') or given.get('trust_remote_code')
                if unsafe is not None and ast.unparse(unsafe) != 'False':
                    wrong.append(f'{path.name}: {ast.unparse(node)}')
                if called in ('eval', 'exec', 'os.system', 'yaml.load', 'yaml.unsafe_load'):
                    wrong.append(f'{path.name}: {called}')
                if 'shell' in given:
                    wrong.append(f'{path.name}: {called} by a shell')
        assert wrong == []


class TestNamesThatLeadElsewhere:
    @pytest.fixture
    def secret(self, tmp_path) -> Path:
        """A picture beside a dataset."""
        return save(tmp_path / 'secret.png', picture(0))

    @pytest.mark.parametrize('name', ['../secret.png', 'images/../../secret.png'])
    def test_above_the_dataset(self, tmp_path, secret, name):
        root = nerf(tmp_path / 'scene')
        values = json.loads((root / 'transforms.json').read_text())
        count = len(values['frames'])
        values['frames'][0]['file_path'] = name
        (root / 'transforms.json').write_text(json.dumps(values))
        self.one_is_refused(root, count)

    @pytest.mark.parametrize('name', ['{}/secret.png', '..\\secret.png'])
    def test_at_the_root_or_with_windows_names(self, tmp_path, secret, name):
        root = nerf(tmp_path / 'scene')
        values = json.loads((root / 'transforms.json').read_text())
        count = len(values['frames'])
        values['frames'][0]['file_path'] = name.format(tmp_path)
        (root / 'transforms.json').write_text(json.dumps(values))
        dataset = open_dataset(root)
        assert len(dataset) == count - 1

    def test_of_colmap(self, tmp_path, secret):
        root = colmap_text(tmp_path / 'scene')
        count = len(open_dataset(root))
        (file,) = root.rglob('images.txt')
        name = open_dataset(root).frames[0].name
        file.write_text(file.read_text().replace(name, '../../secret.png', 1))
        self.one_is_refused(root, count)

    def test_of_lists_of_images(self, tmp_path, secret):
        root = tum(tmp_path / 'rgbd_freiburg1_scene')
        count = len(open_dataset(root))
        name = open_dataset(root).frames[0].name
        file = root / 'rgb.txt'
        file.write_text(file.read_text().replace(name, '../secret.png', 1))
        self.one_is_refused(root, count)

    @staticmethod
    def one_is_refused(root: Path, count: int) -> None:
        dataset = open_dataset(root)
        assert len(dataset) == count - 1
        assert any('lies outside of' in words for words in dataset.skipped)


class TestRecordingsWithLinks:
    @pytest.mark.parametrize('name', ['images', 'depth', 'poses.txt', 'calibration.yaml'])
    def test_are_not_written_through(self, tmp_path, name):
        elsewhere = tmp_path / 'elsewhere'
        elsewhere.mkdir()
        for folder in (tmp_path / 'new', plain(tmp_path / 'old')):
            if (folder / name).is_dir():
                (folder / name).rename(elsewhere / folder.name)
            else:
                (folder / name).unlink(missing_ok=True)
                folder.mkdir(exist_ok=True)
            (folder / name).symlink_to(elsewhere / folder.name)
            with pytest.raises(DatasetError, match='is a link'):
                RecordingWriter(folder, CAMERA)
        writer = RecordingWriter(tmp_path / 'r', CAMERA)
        writer.add(IMAGE, np.eye(4), 1.0)
        writer = None
        target = tmp_path / 'r' / name
        if target.exists():
            target.rename(elsewhere / 'moved')
        target.symlink_to(elsewhere / 'moved')
        with pytest.raises(DatasetError, match='is a link'):
            RecordingWriter(tmp_path / 'r')

    def test_a_calibration_that_is_there_is_not_replaced(self, tmp_path):
        folder = plain(tmp_path / 'dataset')
        before = (folder / 'calibration.yaml').read_bytes()
        (folder / 'poses.txt').unlink()
        with pytest.raises(DatasetError, match='of another camera'):
            RecordingWriter(folder, Camera.pinhole(64, 48, 99.0, 99.0, 31.5, 23.5))
        assert (folder / 'calibration.yaml').read_bytes() == before


class TestClaimsOfSize:
    """Each is read in a process that is given little memory."""

    def test_png(self, tmp_path):
        (tmp_path / 'huge.png').write_bytes(png(2**31 - 1, 2**31 - 1))
        assert_refused_in_little_memory(
            'aceg_ros.datasets.images:read_image', tmp_path / 'huge.png'
        )

    def test_messages(self):
        for width, height in ((2**31 - 1, 2**31 - 1), (60_000, 60_000)):
            with pytest.raises(AcegError):
                decode_compressed(png(width, height))
            with pytest.raises(AcegError):
                decode_compressed_depth('16UC1; png', png(width, height, deep=True))

    def test_text_in_a_png(self, tmp_path):
        """200 MB that unpack from 200 kB."""
        bomb = chunk(b'zTXt', b'c\0\0' + zlib.compress(bytes(200 << 20), 9))
        (tmp_path / 'bomb.png').write_bytes(png(2, 2, bomb))
        assert_refused_in_little_memory(
            'aceg_ros.datasets.images:read_image', tmp_path / 'bomb.png'
        )

    def test_safetensors(self, tmp_path):
        header = json.dumps(
            {'x': {'dtype': 'F32', 'shape': [1 << 40], 'data_offsets': [0, 1 << 42]}}
        ).encode()
        for name, data in (
            ('head', struct.pack('<Q', 1 << 62) + header),
            ('body', struct.pack('<Q', len(header)) + header),
        ):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(MapCodeError):
                read_map(tmp_path / name)
            with pytest.raises(WeightsError):
                load_regressor(tmp_path / name)

    def test_array(self, tmp_path):
        head = "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }\n"
        data = b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode()
        with zipfile.ZipFile(tmp_path / 'g.npz', 'w') as archive:
            for name in ('images', 'points', 'footprint'):
                archive.writestr(f'{name}.npy', data)
        with pytest.raises(DatasetError, match='is no group of views'):
            ViewGroup.load(tmp_path / 'g.npz')

    def test_tensor_that_repeats_one_number(self, tmp_path):
        huge = torch.zeros(1).expand(1 << 40)
        torch.save({'map_embeddings': huge, 'mean': torch.zeros(3)}, tmp_path / 'm.pt')
        with pytest.raises(MapCodeError, match='claims to hold'):
            read_published_map(tmp_path / 'm.pt', 'e', 'r')

    def test_packed_torch_file(self, tmp_path):
        torch.save({'mean': torch.zeros(1 << 22)}, tmp_path / 'm.pt')
        with (
            zipfile.ZipFile(tmp_path / 'm.pt') as plain,
            zipfile.ZipFile(tmp_path / 'p.pt', 'w', zipfile.ZIP_DEFLATED) as packed,
        ):
            for entry in plain.namelist():
                packed.writestr(entry, plain.read(entry))
        with pytest.raises(MapCodeError, match='compressed'):
            read_published_map(tmp_path / 'p.pt', 'e', 'r')

    def test_yaml_that_repeats_itself(self, tmp_path):
        """Nine lists of nine of the one before: 3 billion entries in 500 bytes."""
        lines = ['a0: &a0 [x]'] + [
            f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]' for i in range(1, 11)
        ]
        rest = 'width: 640\nheight: 480\nfx: 500\nfy: 500\ncx: 1\ncy: 1\ndistortion_model: *a10\n'
        (tmp_path / 'c.yaml').write_text('\n'.join(lines) + '\n' + rest)
        with pytest.raises(CameraError, match='repeats itself'):
            read_camera(tmp_path / 'c.yaml')
        (tmp_path / 'c.yaml').write_text('a: &a [*a]\n' + rest.replace('*a10', '*a'))
        with pytest.raises(CameraError, match='repeats itself'):
            read_camera(tmp_path / 'c.yaml')

    def test_description_nested_without_end(self, tmp_path):
        write_map(tmp_path / 'm.aceg', map_code())
        deep = '[' * 100_000 + ']' * 100_000
        resealed(tmp_path / 'm.aceg', metadata=lambda texts: texts.update(map=deep))
        with pytest.raises(MapCodeError, match='cannot be read'):
            read_map(tmp_path / 'm.aceg')


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG file."""
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(width: int, height: int, more: bytes = b'', deep: bool = False) -> bytes:
    """A gray picture that claims a size, with pixels for one row of zeros at most."""
    head = struct.pack('>IIBBBBB', width, height, 16 if deep else 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(3 * min(width, 1000)))
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        [chunk(b'IHDR', head), more, chunk(b'IDAT', pixels), chunk(b'IEND', b'')]
    )


def assert_refused_in_little_memory(function: str, path: Path) -> None:
    """Call it with the path; it has to raise an AcegError, or to give a small array."""
    module, name = function.split(':')
    script = f"""if True:
        import resource, sys
        from {module} import {name}
        from aceg_ros.errors import AcegError
        used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + {MEMORY >> 3}, used + {MEMORY >> 3}))
        try:
            print({name}(sys.argv[1]).size < 1000)
        except AcegError as error:
            print(True)
        """
    done = subprocess.run(
        [sys.executable, '-c', script, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
    )
    assert done.stdout == 'True\n', done.stderr
