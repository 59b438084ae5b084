"""A place mapped in parts, by the command line, and asked as a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aceg_ros.cli.main import main
from aceg_ros.maps.file import read_map

QUICK = ('--tokens', '600', '--budget', '600', '--device', 'cpu', '--set', 'mapping.fit.epochs=2')
QUICK += ('--set', 'mapping.fit.buffer_patches=8000')


@pytest.fixture(scope='module')
def parts(tmp_path_factory, recording) -> Path:
    """The folder `room` with both parts, and `room.json`; not to be changed."""
    folder = tmp_path_factory.mktemp('parts')
    command = ['map', recording, '-o', folder / 'room.aceg', '--json', folder / 'room.json']
    assert main([str(word) for word in (*command, '--parts', 2, *QUICK)]) == 0
    return folder / 'room'


def test_parts_share_a_place(parts):
    files = sorted(parts.iterdir())
    assert [file.name for file in files] == ['room-1-of-2.aceg', 'room-2-of-2.aceg']
    figures = json.loads((parts.parent / 'room.json').read_text())
    assert list(figures['parts']) == ['room-1-of-2', 'room-2-of-2']
    for file in files:
        code = read_map(file)
        assert code.info.place == figures['place']
        assert len(code.keyframes) == figures['parts'][file.stem]['keyframes']
        assert code.descriptors.any(axis=1).all()


@pytest.mark.parametrize(
    ('words', 'launcher'),
    [(('--part', '2/2'), {}), (('--parts', 2), {'RANK': '1', 'WORLD_SIZE': '2'})],
    ids=['by number', 'torchrun'],
)
def test_one_part_is_that_of_the_whole(
    aceg, recording, parts, tmp_path, monkeypatch, words, launcher
):
    """As on another machine, but for the time that it was made at."""
    for name, value in launcher.items():
        monkeypatch.setenv(name, value)
    outcome = aceg('map', recording, '-o', tmp_path / 'room', *words, *QUICK)
    assert outcome.status == 0, outcome.err
    (file,) = (tmp_path / 'room').iterdir()
    alone, other = read_map(file), read_map(parts / file.name)
    assert alone.info.place == other.info.place
    assert (alone.anchors == other.anchors).all()
    assert (alone.descriptors == other.descriptors).all()


def test_a_folder_is_asked_as_one_map(aceg, parts, questions, tmp_path):
    outcome = aceg('evaluate', parts, questions, '--json', tmp_path / 'figures.json')
    assert outcome.status == 0, outcome.err
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert figures['frames'] == 8
    assert figures['recall_25cm_5deg'] >= 0.6
    outcome = aceg('localize', parts, questions, '-o', tmp_path / 'poses.txt')
    assert f'{figures["localized"]} of 8 images localized' in outcome.err


def test_a_part_that_is_extended_stays_one_of_its_place(aceg, parts, recording, tmp_path):
    old, grown = parts / 'room-1-of-2.aceg', tmp_path / 'grown.aceg'
    words = ('--extend', old, '--every', 4, *QUICK)
    outcome = aceg('map', recording, '-o', grown, *words)
    assert outcome.status == 0, outcome.err
    assert read_map(grown).info.place == read_map(old).info.place


@pytest.mark.parametrize('processes', [1, 2])
def test_a_part_that_cannot_be_mapped_leaves_the_others(aceg, recording, tmp_path, processes):
    words = ('--parts', 2, '--processes', processes, '--json', tmp_path / 'room.json')
    strict = ('--set', 'mapping.sweep.min_agreeing=1.0')
    outcome = aceg('map', recording, '-o', tmp_path / 'room', *words, *QUICK, *strict)
    assert outcome.status == 1
    parts = json.loads((tmp_path / 'room.json').read_text())['parts']
    assert all('error' in part for part in parts.values())
    assert list(parts) == ['room-1-of-2', 'room-2-of-2']
    assert 'room-2-of-2: ' in outcome.out


def test_one_map_is_the_work_of_one_process(aceg, recording, tmp_path, monkeypatch):
    monkeypatch.setenv('RANK', '1')
    monkeypatch.setenv('WORLD_SIZE', '2')
    outcome = aceg('map', recording, '-o', tmp_path / 'room.aceg', *QUICK)
    assert outcome.status == 0
    assert not list(tmp_path.iterdir())


def test_info_names_the_place(aceg, parts):
    place = read_map(parts / 'room-1-of-2.aceg').info.place
    assert f'part of: {place}' in aceg('info', parts / 'room-1-of-2.aceg').out


def test_parts_in_processes_of_their_own(aceg, recording, parts, tmp_path):
    words = ('--parts', 2, '--processes', 2)
    outcome = aceg('map', recording, '-o', tmp_path / 'room', *words, *QUICK)
    assert outcome.status == 0, outcome.err
    for file in sorted((tmp_path / 'room').iterdir()):
        assert (read_map(file).anchors == read_map(parts / file.name).anchors).all()


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('--part', '3/2'), 'give it as K/N'),
        (('--part', 'second'), 'give it as K/N'),
        (('--parts', '9'), '28 images with poses do not make 9 parts of 5 or more'),
        (('--parts', '2', '--extend', 'OWN'), 'that is extended, or a free code, has no parts'),
        (('--parts', '2', '-o', 'OTHERS'), 'holds other maps, such as room.aceg'),
    ],
)
def test_refused(aceg, recording, mapping, tmp_path, words, message):
    given = {'OWN': mapping / 'room.aceg', 'OTHERS': mapping}
    outcome = aceg('map', recording, '-o', tmp_path / 'room', *(given.get(w, w) for w in words))
    assert outcome.status == 1
    assert message in outcome.err
    assert not list(tmp_path.rglob('*.aceg'))
