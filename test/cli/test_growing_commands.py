"""Maps that grow, by the command line: extend, merge, show and drop."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from aceg_ros.cli.main import main
from aceg_ros.geometry.poses import make_pose, so3_exp
from aceg_ros.maps.code import world_keyframes
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.maps.sessions import moved


def sessions_of(aceg, path):
    """What `aceg info` says of each session."""
    return json.loads(aceg('info', path, '--json', '-').out)['sessions']


def test_extend_show_and_drop(aceg, room_map, recording, tmp_path):
    old, grown, rest = read_map(room_map), tmp_path / 'grown.aceg', tmp_path / 'rest.aceg'
    outcome = aceg(
        'map',
        recording,
        *('-o', grown, '--extend', room_map, '--session', 'later', '--every', 2),
        *('--tokens', 300, '--budget', 2, '--device', 'cpu'),
    )
    assert outcome.status == 0, outcome.err
    first, second = sessions_of(aceg, grown)
    assert (first['name'], second['name']) == ('recording', 'later')
    assert first['keyframes'] == len(old.keyframes)
    assert first['tokens'] == len(old.anchors)
    assert 0 < second['tokens_of_its_own'] < 300
    assert 'session: later: ' in aceg('info', grown).out
    outcome = aceg('drop', grown, '--session', 'later', '-o', rest)
    assert outcome.status == 0
    assert 'sessions recording' in outcome.out
    assert [session['name'] for session in sessions_of(aceg, rest)] == ['recording']
    np.testing.assert_array_equal(read_map(rest).anchors, old.anchors)


def test_drop_of_what_is_not_there(aceg, room_map, tmp_path):
    outcome = aceg('drop', room_map, '--session', 'noon', '-o', tmp_path / 'rest.aceg')
    assert outcome.status == 1
    assert "no session 'noon'; it has recording" in outcome.err


def test_merge_in_one_frame(aceg, room_map, tmp_path):
    both = tmp_path / 'both.aceg'
    outcome = aceg('merge', room_map, room_map, '-o', both, '--same-frame')
    assert outcome.status == 0
    assert [s['name'] for s in sessions_of(aceg, both)] == ['recording', 'recording (2)']
    assert len(read_map(both).anchors) == len(read_map(room_map).anchors)


def test_merge_by_images_that_both_know(aceg, room_map, questions, tmp_path):
    code, there, both = read_map(room_map), tmp_path / 'there.aceg', tmp_path / 'both.aceg'
    first_from_second = make_pose(so3_exp([0.0, 0.0, 1.5]), [12.0, -3.0, 0.5])
    write_map(there, moved(code, np.linalg.inv(first_from_second)))
    outcome = aceg(
        'merge',
        room_map,
        there,
        *('-o', both, '--align', questions, '--device', 'cpu', '--json', tmp_path / 'merge.json'),
    )
    assert outcome.status == 0, outcome.err
    alignment = json.loads((tmp_path / 'merge.json').read_text())['alignment']
    assert alignment['agreeing'] == alignment['images'] >= 5
    np.testing.assert_allclose(alignment['first_from_second'], first_from_second, atol=5e-3)
    assert 0 < alignment['std_m'] < 0.1
    count = len(code.keyframes)
    keyframes = world_keyframes(read_map(both))
    np.testing.assert_allclose(keyframes[count:], keyframes[:count], atol=0.02)


def test_merge_wants_to_know_how(aceg, room_map, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(['merge', str(room_map), str(room_map), '-o', str(tmp_path / 'both.aceg')])
    assert ended.value.code == 2
    assert '--same-frame --align is required' in capsys.readouterr().err


def test_merge_of_maps_that_do_not_fit(aceg, room_map, tmp_path):
    code, other = read_map(room_map), tmp_path / 'other.aceg'
    write_map(other, replace(code, info=replace(code.info, metric=False)))
    outcome = aceg('merge', room_map, other, '-o', tmp_path / 'both.aceg', '--same-frame')
    assert outcome.status == 1
    assert 'unit of one map is the meter' in outcome.err
    assert not (tmp_path / 'both.aceg').exists()
