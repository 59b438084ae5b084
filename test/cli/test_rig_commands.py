"""Rigs by the command line: mapped, localized and evaluated by one file."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from aceg_ros.cli import map as map_command
from aceg_ros.datasets import RecordingWriter
from aceg_ros.geometry.poses import inverse, make_pose, pose_to_tum, so3_exp
from aceg_ros.lab.worlds import record

MOUNTS = np.stack(
    [
        make_pose(np.eye(3), [0.2, 0.0, 0.0]),
        make_pose(so3_exp([0.0, np.radians(30.0), 0.0]), [0.3, 0.0, 0.0]),
    ]
)


@pytest.fixture(scope='module')
def world_from_rig(queries):
    return np.stack([query.world_from_cam for query in queries[2:5]]) @ inverse(MOUNTS[0])


@pytest.fixture(scope='module')
def folder(tmp_path_factory, room, room_camera, world_from_rig):
    """Recordings of two cameras, and the file of their rig."""
    folder = tmp_path_factory.mktemp('rig')
    lines = ['cameras:']
    for name, mount in zip(('left', 'right'), MOUNTS, strict=True):
        writer = RecordingWriter(folder / name, room_camera)
        frames = record(room, room_camera, world_from_rig @ mount, supersample=1).frames
        for index, frame in enumerate(frames):
            writer.add(frame.image(), frame.world_from_cam, 100.0 + index)
        lines += [f'  - images: {name}', f'    rig_from_cam: {pose_to_tum(mount).tolist()}']
    (folder / 'rig.yaml').write_text('\n'.join(lines) + '\n')
    return folder


def test_evaluate(aceg, mapping, folder, tmp_path):
    outcome = aceg(
        'evaluate',
        mapping / 'room.aceg',
        folder / 'rig.yaml',
        *('--json', tmp_path / 'figures.json', '--device', 'cpu'),
    )
    assert outcome.status == 0, outcome.err
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert figures['frames'] == figures['localized'] == 3
    assert figures['median_cm'] < 5


def test_evaluate_among_the_maps_of_a_folder(aceg, mapping, folder, tmp_path):
    for name in ('one', 'two'):
        shutil.copy(mapping / 'room.aceg', tmp_path / f'{name}.aceg')
    outcome = aceg(
        'evaluate',
        tmp_path,
        folder / 'rig.yaml',
        *('--json', tmp_path / 'figures.json', '--device', 'cpu'),
    )
    assert outcome.status == 0, outcome.err
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert figures['frames'] == figures['localized'] == 3


def test_localize_prints_the_rigs_poses(aceg, mapping, folder, world_from_rig):
    outcome = aceg('localize', mapping / 'room.aceg', folder / 'rig.yaml', '--device', 'cpu')
    assert outcome.status == 0, outcome.err
    assert '3 of 3 images localized' in outcome.err
    rows = np.array([[float(word) for word in line.split()] for line in outcome.out.splitlines()])
    np.testing.assert_allclose(rows[:, 1:4], world_from_rig[:, :3, 3], atol=0.05)


def test_map_takes_the_images_of_all_cameras(aceg, folder, tmp_path, monkeypatch):
    taken = []

    def mapper(frames, *_, **__):
        taken.extend(frame.name for frame in frames)
        raise KeyboardInterrupt

    monkeypatch.setattr(map_command, 'map_scene', mapper)
    aceg('map', folder / 'rig.yaml', '-o', tmp_path / 'room.aceg', '--device', 'cpu')
    assert len(taken) == 6
    assert {name.partition('/')[0] for name in taken} == {'left', 'right'}


@pytest.mark.parametrize(
    ('command', 'words'),
    [
        (['--camera', 'camera.yaml'], 'without --camera'),
        (['--split', 'test'], 'no splits'),
        (['--start', '9'], 'none of 3 moments'),
        (['--report', 'page'], 'of one camera'),
        (['--depth'], 'of one camera'),
        (['--every', '0'], 'cannot take every 0th'),
        (['--pose-convention', 'w-first'], 'leave out --pose-convention'),
    ],
)
def test_what_does_not_go_with_a_rig(aceg, mapping, folder, command, words):
    outcome = aceg('evaluate', mapping / 'room.aceg', folder / 'rig.yaml', *command)
    assert outcome.status == 1
    assert words in outcome.err
