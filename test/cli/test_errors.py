"""What the commands do when something is wrong: a sentence, a status, and nothing harmed."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from aceg_ros import models
from aceg_ros.cli import train_encoder
from aceg_ros.cli.common import ProgressBar
from aceg_ros.errors import FitError
from aceg_ros.mapping import anchored
from aceg_ros.maps.file import read_map, write_map

# One pass of the fit, for which any budget is enough.
ROUGH = ('--tokens', 300, '--budget', 1, '--set', 'mapping.fit.epochs=1')


def assert_said(outcome, *words):
    """The error is one `aceg: ...` with these words in it, no traceback."""
    assert outcome.status == 1
    assert outcome.out == ''
    assert 'Traceback' not in outcome.err
    said = [line for line in outcome.err.splitlines() if line.startswith('aceg: ')]
    assert len(said) == 1, outcome.err
    for word in words:
        assert word in outcome.err


def assert_said_in_one_line(outcome, *words):
    assert_said(outcome, *words)
    assert len(outcome.err.splitlines()) == 1


def pictures(folder, count, size=(320, 240)):
    """A folder of noise with as many poses."""
    (folder / 'images').mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = []
    for index in range(count):
        noise = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(noise).save(folder / f'images/{index}.png')
        lines.append(f'{index} {0.1 * index} 0 0 0 0 0 1\n')
    (folder / 'poses.txt').write_text(''.join(lines))
    return folder


CALIBRATION = 'width: 320\nheight: 240\nfx: 262\nfy: 263\ncx: 158\ncy: 121\n'


def test_reader_that_has_seen_enough(room_map):
    """As in `aceg info MAP | head -1`."""
    command = [sys.executable, '-m', 'aceg_ros', 'info', str(room_map)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b''
    assert process.returncode == 0


class TestMapping:
    def test_no_dataset(self, aceg, tmp_path):
        outcome = aceg('map', tmp_path / 'none', '-o', tmp_path / 'map.aceg')
        assert_said_in_one_line(outcome, 'none does not exist')

    def test_unknown_layout(self, aceg, tmp_path):
        (tmp_path / 'folder').mkdir()
        outcome = aceg('map', tmp_path / 'folder', '-o', tmp_path / 'map.aceg')
        assert_said(outcome, 'no dataset of a known layout')

    def test_no_images(self, aceg, recording, tmp_path):
        shutil.copytree(recording, tmp_path / 'empty', ignore=lambda *_: ['images'])
        (tmp_path / 'empty/images').mkdir()
        outcome = aceg('map', tmp_path / 'empty', '-o', tmp_path / 'map.aceg')
        assert_said(outcome, 'empty')

    def test_poses_and_images_that_do_not_pair(self, aceg, recording, tmp_path):
        shutil.copytree(recording, tmp_path / 'odd')
        for index, file in enumerate(sorted((tmp_path / 'odd/images').iterdir())):
            file.rename(file.with_name(f'view_{index:03}.png'))
        (tmp_path / 'odd/images/view_003.png').unlink()
        outcome = aceg('map', tmp_path / 'odd', '-o', tmp_path / 'map.aceg')
        assert_said_in_one_line(outcome, '27 images do not pair with 28 poses')

    def test_too_few_keyframes(self, aceg, recording, tmp_path):
        outcome = aceg('map', recording, '-o', tmp_path / 'map.aceg', '--stop', 4)
        assert_said_in_one_line(outcome, '4 images', 'at least 5', 'record more')

    def test_one_spot(self, aceg, recording, tmp_path):
        folder = tmp_path / 'spot'
        shutil.copytree(recording, folder)
        lines = (folder / 'poses.txt').read_text().splitlines()
        stamps = [line.split()[0] for line in lines if not line.startswith('#')]
        (folder / 'poses.txt').write_text(''.join(f'{s} 1 2 3 0 0 0 1\n' for s in stamps))
        outcome = aceg('map', folder, '-o', tmp_path / 'map.aceg')
        assert_said_in_one_line(outcome, 'one spot', 'move the camera')

    def test_calibration_of_another_size(self, aceg, tmp_path):
        folder = pictures(tmp_path / 'small', 6, size=(160, 120))
        (folder / 'calibration.yaml').write_text(CALIBRATION)
        outcome = aceg('map', folder, '-o', tmp_path / 'map.aceg')
        assert_said(outcome, '160x120', '320x240')

    def test_calibration_of_zeros(self, aceg, tmp_path):
        folder = pictures(tmp_path / 'zeros', 6)
        zeros = CALIBRATION.replace('262', '0').replace('263', '0')
        (folder / 'calibration.yaml').write_text(zeros)
        outcome = aceg('map', folder, '-o', tmp_path / 'map.aceg')
        assert_said(outcome, 'calibration.yaml')

    def test_no_such_device(self, aceg, recording, tmp_path):
        outcome = aceg('map', recording, '-o', tmp_path / 'map.aceg', '--device', 'abacus')
        assert_said(outcome, "device 'abacus' cannot be used")

    @pytest.mark.parametrize(
        ('selection', 'words'),
        [
            (('--every', 0), 'n = 0'),
            (('--split', 'test'), "no split 'test'"),
            (('--start', 99), 'no frame'),
        ],
    )
    def test_selection_of_nothing(self, aceg, recording, tmp_path, selection, words):
        outcome = aceg('map', recording, '-o', tmp_path / 'map.aceg', *selection)
        assert_said_in_one_line(outcome, words)

    @pytest.mark.parametrize('option', ['tokens', 'budget'])
    @pytest.mark.parametrize('value', [0, -3])
    def test_numbers_that_make_no_sense(self, aceg, recording, tmp_path, option, value):
        outcome = aceg('map', recording, '-o', tmp_path / 'map.aceg', f'--{option}', value)
        assert_said_in_one_line(outcome, f'{option} must be at least')

    def test_missing_weights(self, aceg, recording, tmp_path, monkeypatch):
        monkeypatch.setattr(models, 'model_folders', lambda: [tmp_path])
        outcome = aceg('map', recording, '-o', tmp_path / 'map.aceg')
        assert_said(outcome, 'wide.safetensors is missing')


class TestOldMap:
    """A map already there stays whole until a new one is."""

    def test_full_disk(self, aceg, recording, room_map, monkeypatch):
        before = room_map.read_bytes()

        def full(*_):
            raise OSError(errno.ENOSPC, 'No space left on device')

        monkeypatch.setattr(os, 'fsync', full)
        outcome = aceg('map', recording, '-o', room_map, *ROUGH)
        assert_said_in_one_line(outcome, 'No space left on device', 'nothing there was changed')
        assert room_map.read_bytes() == before
        assert list(room_map.parent.iterdir()) == [room_map]

    @pytest.mark.parametrize('stage', ['encode', 'fit', 'validate'])
    def test_ctrl_c(self, aceg, recording, room_map, monkeypatch, stage):
        """The signal comes while the stage is running."""
        before = room_map.read_bytes()

        def interrupted(self, name, fraction, detail):
            if name == stage:
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(ProgressBar, '__call__', interrupted)
        outcome = aceg('map', recording, '-o', room_map, '--tokens', 300, '--budget', 5)
        assert outcome.status == 130
        assert 'Traceback' not in outcome.err
        assert 'nothing is left half-written' in outcome.err
        assert room_map.read_bytes() == before
        assert list(room_map.parent.iterdir()) == [room_map]

    def test_failed_fit(self, aceg, recording, room_map, monkeypatch):
        before = room_map.read_bytes()

        def failing(*_):
            raise FitError('no good')

        monkeypatch.setattr(anchored, 'fit_code', failing)
        outcome = aceg('map', recording, '-o', room_map, '--tokens', 300)
        assert_said_in_one_line(outcome, 'no good')
        assert room_map.read_bytes() == before


class TestMaps:
    @pytest.fixture(params=['info', 'localize', 'evaluate', 'export'])
    def reading(self, request, questions, tmp_path):
        """A command that reads a map, but for the map."""
        more = {'info': (), 'export': (tmp_path / 'points.ply',)}
        return lambda path: (request.param, path, *more.get(request.param, (questions,)))

    def test_missing(self, aceg, reading, tmp_path):
        assert_said_in_one_line(aceg(*reading(tmp_path / 'none.aceg')), 'there is no map at')

    def test_foreign(self, aceg, reading, tmp_path):
        path = tmp_path / 'weights.aceg'
        path.write_bytes(save({'weight': np.zeros(4, np.float32)}))
        assert_said_in_one_line(aceg(*reading(path)), 'no .aceg map')

    def test_truncated(self, aceg, reading, room_map):
        room_map.write_bytes(room_map.read_bytes()[:50_000])
        assert_said_in_one_line(aceg(*reading(room_map)), 'only part of one')

    def test_harmed(self, aceg, reading, room_map):
        data = bytearray(room_map.read_bytes())
        data[-1000] ^= 4
        room_map.write_bytes(bytes(data))
        assert_said_in_one_line(aceg(*reading(room_map)), 'was changed after it was written')

    @pytest.mark.parametrize('command', ['localize', 'evaluate'])
    def test_of_another_encoder(self, aceg, command, room_map, questions):
        code = read_map(room_map)
        write_map(room_map, replace(code, info=replace(code.info, encoder='other-1')))
        outcome = aceg(command, room_map, questions)
        assert_said_in_one_line(outcome, 'made with encoder other-1', 'make the map again')


class TestOutputs:
    @pytest.fixture
    def nowhere(self, tmp_path):
        """A path below a file."""
        (tmp_path / 'file').write_text('')
        return tmp_path / 'file/output'

    def test_points(self, aceg, mapping, nowhere):
        assert_said_in_one_line(aceg('export', mapping / 'room.aceg', nowhere), 'cannot be written')

    def test_figures(self, aceg, mapping, questions, nowhere):
        outcome = aceg('evaluate', mapping / 'room.aceg', questions, '--json', nowhere)
        assert_said_in_one_line(outcome, 'cannot be written')

    def test_poses(self, aceg, mapping, questions, nowhere):
        outcome = aceg('localize', mapping / 'room.aceg', questions, '-o', nowhere)
        assert_said(outcome, 'cannot be written')

    def test_report(self, aceg, mapping, questions, nowhere):
        outcome = aceg('evaluate', mapping / 'room.aceg', questions, '--report', nowhere)
        assert outcome.status == 1
        assert outcome.err.startswith('aceg: ')
        assert 'cannot be written' in outcome.err
        assert 'of 8 images' in outcome.out  # the figures are not lost

    def test_map(self, aceg, recording, nowhere):
        outcome = aceg('map', recording, '-o', nowhere, *ROUGH)
        assert_said_in_one_line(outcome, 'could not be written')


class TestLocalize:
    def test_no_camera(self, aceg, mapping, questions, tmp_path):
        shutil.copytree(questions / 'images', tmp_path / 'images')
        outcome = aceg('localize', mapping / 'room.aceg', tmp_path / 'images')
        assert_said_in_one_line(outcome, 'the camera is not known')

    def test_no_images(self, aceg, mapping, questions, tmp_path):
        (tmp_path / 'empty').mkdir()
        camera = questions / 'calibration.yaml'
        outcome = aceg('localize', mapping / 'room.aceg', tmp_path / 'empty', '--camera', camera)
        assert_said_in_one_line(outcome, 'holds no images')

    def test_calibration_that_is_none(self, aceg, mapping, questions, tmp_path):
        (tmp_path / 'camera.yaml').write_text('just: text\n')
        camera = tmp_path / 'camera.yaml'
        outcome = aceg('localize', mapping / 'room.aceg', questions / 'images', '--camera', camera)
        assert_said_in_one_line(outcome, 'camera.yaml')


class TestTrainEncoder:
    def test_no_teacher(self, aceg, recording, tmp_path):
        outcome = aceg(
            'train-encoder', recording, '-o', tmp_path / 'out', '--teacher', tmp_path / 'none'
        )
        assert_said_in_one_line(outcome, 'holds no teacher weights')

    def test_no_such_folder(self, aceg, tmp_path, monkeypatch):
        monkeypatch.setattr(train_encoder, 'Teacher', lambda *_: None)
        outcome = aceg(
            'train-encoder',
            tmp_path / 'none',
            *('-o', tmp_path / 'out', '--teacher', tmp_path / 'teacher', '--worlds', 0),
        )
        assert_said(outcome, 'none')

    def test_nothing_to_train_on(self, aceg, tmp_path, monkeypatch):
        monkeypatch.setattr(train_encoder, 'Teacher', lambda *_: None)
        outcome = aceg(
            'train-encoder', '-o', tmp_path / 'out', '--teacher', tmp_path / 't', '--worlds', 0
        )
        assert_said_in_one_line(outcome, 'nothing to train on')

    def test_compact_without_a_teacher(self, aceg, tmp_path):
        outcome = aceg('train-encoder', '-o', tmp_path / 'out')
        assert_said_in_one_line(outcome, 'give --teacher')

    def test_wide_without_a_trunk(self, aceg, tmp_path):
        outcome = aceg('train-encoder', '-o', tmp_path / 'out', '--encoder', 'wide')
        assert_said_in_one_line(outcome, 'give --trunk')
