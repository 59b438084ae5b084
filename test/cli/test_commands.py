"""What the commands do when all is well."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from aceg_ros import __version__
from aceg_ros.cli.main import COMMANDS, main
from aceg_ros.datasets import RecordingWriter
from aceg_ros.datasets.trajectory import read_trajectory
from aceg_ros.geometry.poses import pose_error
from aceg_ros.landmarks.landmarks import Landmarks
from aceg_ros.localization.several import MapSet
from aceg_ros.maps.code import MapQuality, Rating, ThinPlace
from aceg_ros.maps.file import read_map, write_map

EVALUATION_KEYS = [
    'frames',
    'localized',
    'median_cm',
    'median_deg',
    'recall_5cm_5deg',
    'recall_10cm_5deg',
    'recall_25cm_5deg',
    'query_ms_median',
    'query_ms_p95',
]


def poses_in(path):
    """Stamps and poses of a TUM file."""
    trajectory, problems = read_trajectory(path)
    assert not problems
    return trajectory.stamps, [trajectory.pose(index) for index in range(len(trajectory))]


class TestMap:
    def test_figures(self, mapping):
        figures = json.loads((mapping / 'room.json').read_text())
        assert set(figures) == {'seconds', 'keyframes', 'map_bytes', 'peak_rss_mb', 'quality'}
        assert figures['map_bytes'] == (mapping / 'room.aceg').stat().st_size
        assert figures['keyframes'] == len(read_map(mapping / 'room.aceg').keyframes)
        assert 50 < figures['peak_rss_mb'] < 20_000
        assert figures['seconds'] > 0
        assert figures['quality']['rating'] in ('good', 'fair', 'poor')

    def test_map_holds_the_same_report(self, mapping):
        figures = json.loads((mapping / 'room.json').read_text())
        said = MapQuality.from_dict(figures['quality'])
        assert read_map(mapping / 'room.aceg').info.quality == said

    def test_selection(self, aceg, recording, tmp_path):
        outcome = aceg(
            'map',
            recording,
            *('-o', tmp_path / 'map.aceg', '--start', 2, '--stop', 22, '--every', 2),
            *('--tokens', 300, '--budget', 2, '--json', tmp_path / 'map.json'),
        )
        assert outcome.status == 0
        figures = json.loads((tmp_path / 'map.json').read_text())
        assert figures['keyframes'] + figures['quality']['held_out'] == 10
        assert str(tmp_path / 'map.aceg') in outcome.out


class TestEvaluate:
    def test_figures_and_report(self, aceg, mapping, questions, tmp_path):
        outcome = aceg(
            'evaluate',
            mapping / 'room.aceg',
            questions,
            *('--json', tmp_path / 'figures.json', '--report', tmp_path / 'report'),
        )
        assert outcome.status == 0
        figures = json.loads((tmp_path / 'figures.json').read_text())
        assert list(figures) == EVALUATION_KEYS
        assert f'{figures["localized"]} of 8 images' in outcome.out
        assert f'{figures["median_cm"]:.1f} cm' in outcome.out
        assert 'index.html' in outcome.err
        assert figures['frames'] == 8
        assert figures['localized'] >= 7
        assert figures['median_cm'] < 12
        assert figures['recall_25cm_5deg'] >= 0.8
        assert figures['query_ms_median'] <= figures['query_ms_p95']
        pictures = [file for file in (tmp_path / 'report').rglob('*.png')]
        assert len(pictures) >= 3
        for picture in pictures:
            Image.open(picture).verify()

    def test_selection(self, aceg, mapping, questions):
        few = ['--start', 1, '--every', 3]
        outcome = aceg('evaluate', mapping / 'room.aceg', questions, *few, '--json', '-')
        assert json.loads(outcome.out)['frames'] == 3

    def test_among_other_maps(self, aceg, mapping, questions, tmp_path):
        """Beside a map of no place there is."""
        room, nowhere = mapping / 'room.aceg', tmp_path / 'nowhere.aceg'
        code = read_map(room)
        order = np.random.default_rng(0).permutation(len(code.anchors))
        write_map(nowhere, replace(code, anchors=code.anchors[order], landmarks=Landmarks.none()))
        few = ['--every', 4, '--json', tmp_path / 'figures.json']
        for map_file, other, found in ((room, tmp_path, 2), (nowhere, room, 0)):
            outcome = aceg('evaluate', map_file, questions, *few, '--beside', other)
            assert outcome.status == 0
            figures = json.loads((tmp_path / 'figures.json').read_text())
            among = figures.pop('among')
            assert list(figures) == EVALUATION_KEYS
            times = [among.pop('time_first'), among.pop('time_all')]
            assert min(times) > 0
            assert among == {
                'maps': 2,
                'images': 2,
                'alone': found,
                'right': found,
                'wrong': 2 - found,
            }
            assert f'{found} of 2 images found in the right map' in outcome.out


class TestDepth:
    """A recording of the place, and one of pictures of it, each 0.6 m away."""

    @pytest.fixture(scope='class')
    def recordings(self, tmp_path_factory, queries):
        folder = tmp_path_factory.mktemp('depth')
        for name in ('place', 'pictures'):
            writer = RecordingWriter(folder / name, queries[0].camera)
            for index, frame in enumerate(queries[2:4]):
                depth = frame.registered_depth()
                seen = depth if name == 'place' else np.full_like(depth, 0.6)
                writer.add(frame.image(), frame.world_from_cam, float(index + 1), seen)
        return folder

    @pytest.mark.parametrize(('name', 'found'), [('place', 2), ('pictures', 0)])
    def test_evaluate(self, aceg, mapping, recordings, name, found):
        command = ['evaluate', mapping / 'room.aceg', recordings / name, '--json', '-']
        assert json.loads(aceg(*command).out)['localized'] == 2
        assert json.loads(aceg(*command, '--depth').out)['localized'] == found

    def test_not_among_other_maps(self, aceg, mapping, recordings):
        command = ['evaluate', mapping / 'room.aceg', recordings / 'place', '--depth']
        outcome = aceg(*command, '--beside', mapping / 'room.aceg')
        assert outcome.status == 1
        assert 'leave out --depth' in outcome.err

    def test_localize(self, aceg, mapping, recordings):
        command = ['localize', mapping / 'room.aceg', recordings / 'pictures']
        assert '2 of 2 images localized' in aceg(*command).err
        refused = aceg(*command, '--depth')
        assert refused.status == 1
        assert '(other_depth): measured depths are' in refused.err


class TestLocalize:
    @pytest.mark.parametrize(('last', 'kept'), [(4, 2), (1, 1)])
    def test_poses_found_before_an_interruption_are_kept(
        self, aceg, mapping, questions, tmp_path, monkeypatch, last, kept
    ):
        """And those of a file that was there, where none was found."""
        (tmp_path / 'poses.txt').write_text('7 1 2 3 0 0 0 1\n')
        localize, asked = MapSet.localize, []

        def interrupted(self, *arguments, **named):
            asked.append(self)
            if len(asked) == last:
                raise KeyboardInterrupt
            return localize(self, *arguments, **named)

        monkeypatch.setattr(MapSet, 'localize', interrupted)
        poses = tmp_path / 'poses.txt'
        assert aceg('localize', mapping / 'room.aceg', questions, '-o', poses).status == 130
        stamps = list(poses_in(poses)[0])
        assert len(stamps) >= kept
        assert (7.0 in stamps) == (last == 1)

    def test_dataset(self, aceg, mapping, questions, queries, tmp_path):
        outcome = aceg('localize', mapping / 'room.aceg', questions, '-o', tmp_path / 'poses.txt')
        assert outcome.status == 0
        stamps, poses = poses_in(tmp_path / 'poses.txt')
        assert f'{len(poses)} of 8 images localized' in outcome.err
        assert len(poses) >= 7
        for stamp, pose in zip(stamps, poses, strict=True):
            truth = queries[round((stamp - 100.0) / 0.5)].world_from_cam
            meters, degrees = pose_error(pose, truth)
            assert (meters < 0.25, degrees < 10) == (True, True)

    def test_images_without_poses(self, aceg, mapping, questions, tmp_path):
        """A folder of pictures and a calibration from elsewhere are enough."""
        shutil.copytree(questions / 'images', tmp_path / 'pictures')
        (tmp_path / 'pictures' / 'notes.txt').write_text('no picture')
        outcome = aceg(
            'localize',
            mapping / 'room.aceg',
            tmp_path / 'pictures',
            *('--camera', questions / 'calibration.yaml', '-o', tmp_path / 'poses.txt'),
        )
        assert outcome.status == 0
        assert len(poses_in(tmp_path / 'poses.txt')[0]) >= 7

    def test_one_image_to_standard_output(self, aceg, mapping, questions, queries):
        image = sorted((questions / 'images').iterdir())[2]
        camera = questions / 'calibration.yaml'
        outcome = aceg('localize', mapping / 'room.aceg', image, '--camera', camera)
        assert outcome.status == 0
        (line,) = outcome.out.splitlines()
        numbers = [float(word) for word in line.split()]
        assert len(numbers) == 8
        assert numbers[0] == pytest.approx(101.0)
        assert np.linalg.norm(numbers[1:4] - queries[2].world_from_cam[:3, 3]) < 0.25

    def test_gray_deep_and_transparent_images(self, aceg, mapping, questions, tmp_path):
        files = sorted((questions / 'images').iterdir())[:3]
        for file, mode in zip(files, ('L', 'I;16', 'RGBA'), strict=True):
            image = Image.open(file)
            if mode == 'I;16':
                deep = np.asarray(image.convert('L')).astype(np.uint16) * 257
                image = Image.fromarray(deep)
            else:
                image = image.convert(mode)
            image.save(tmp_path / file.name)
        outcome = aceg(
            'localize', mapping / 'room.aceg', tmp_path, '--camera', questions / 'calibration.yaml'
        )
        assert '3 of 3 images localized' in outcome.err

    def test_none_localized(self, aceg, mapping, questions, tmp_path):
        Image.new('RGB', (320, 240)).save(tmp_path / 'dark.png')
        outcome = aceg(
            'localize', mapping / 'room.aceg', tmp_path, '--camera', questions / 'calibration.yaml'
        )
        assert outcome.status == 1
        assert 'dark.png: not localized' in outcome.err
        assert outcome.out == ''

    def test_broken_image_among_good_ones_is_named(self, aceg, mapping, questions, tmp_path):
        shutil.copytree(questions / 'images', tmp_path / 'images')
        broken = sorted((tmp_path / 'images').iterdir())[1]
        broken.write_bytes(broken.read_bytes()[:20_000])
        camera = questions / 'calibration.yaml'
        outcome = aceg('localize', mapping / 'room.aceg', tmp_path / 'images', '--camera', camera)
        assert outcome.status == 0
        assert f'left out {broken.name}' in outcome.err


class TestCoverage:
    def test_tells_from_where_a_camera_is_found(self, aceg, mapping, tmp_path):
        outcome = aceg('coverage', mapping / 'room.aceg', '-o', tmp_path / 'coverage.png')
        assert outcome.status == 0
        for words in ('as recorded', 'moved by', 'turned by', 'from ('):
            assert words in outcome.out
        assert (tmp_path / 'coverage.png').exists()

    def test_figures_for_programs(self, aceg, mapping, questions):
        outcome = aceg('coverage', mapping / 'room.aceg', questions, '--json', '-')
        figures = json.loads(outcome.out)
        assert figures['views']['count'] == 8
        assert figures['views']['expected'] > 0.8
        assert figures['as_recorded'] > figures['turned'][-1]['chance']
        assert len(figures['moved']) == 4


class TestInfo:
    def test_describes_the_map_for_people(self, aceg, mapping, engine):
        outcome = aceg('info', mapping / 'room.aceg')
        lines = dict(line.strip().split(': ', 1) for line in outcome.out.splitlines())
        code = read_map(mapping / 'room.aceg')
        assert outcome.status == 0
        assert len(lines) < 20
        assert lines['size'].endswith(f'{len(code.keyframes)} keyframes')
        assert lines['quality'].startswith(f'{code.info.quality.rating.value}; ')
        assert lines['code'] == f'anchored, 1024 vectors, {len(code.landmarks)} landmarks'
        assert lines['camera'].startswith('320x240, pinhole')
        assert lines['frame'] == 'map, in meters'
        assert lines['encoder'] == engine.encoder.identity

    def test_names_thin_places(self, aceg, room_map):
        code = read_map(room_map)
        thin = (ThinPlace('view-3', (1.0, -2.0, 0.5)),)
        quality = replace(code.info.quality, rating=Rating.POOR, thin=thin)
        write_map(room_map, replace(code, info=replace(code.info, quality=quality, metric=False)))
        outcome = aceg('info', room_map)
        assert 'thin: view-3 at (1.00, -2.00, 0.50)' in outcome.out
        assert 'quality: poor' in outcome.out
        assert 'map, without a metric unit' in outcome.out

    def test_file_for_programs(self, aceg, mapping, tmp_path):
        outcome = aceg('info', mapping / 'room.aceg', '--json', tmp_path / 'info.json')
        assert 'quality' in outcome.out
        printed = aceg('info', mapping / 'room.aceg', '--json', '-').out
        assert (tmp_path / 'info.json').read_text() == printed

    def test_says_what_is_in_the_map(self, aceg, mapping, engine, room_camera):
        outcome = aceg('info', mapping / 'room.aceg', '--json', '-')
        said = json.loads(outcome.out)
        code = read_map(mapping / 'room.aceg')
        assert outcome.status == 0
        assert said['encoder'] == engine.encoder.identity
        assert (said['tokens'], said['keyframes']) == (1024, len(code.keyframes))
        assert said['bytes'] == (mapping / 'room.aceg').stat().st_size
        assert said['cameras'] == [room_camera.to_dict()]
        assert MapQuality.from_dict(said['quality']) == code.info.quality
        assert said['kind'] == 'anchored'
        assert np.shape(said['extent']) == (2, 3)


class TestExport:
    def test_points_with_colors(self, aceg, mapping, tmp_path):
        outcome = aceg('export', mapping / 'room.aceg', tmp_path / 'points.ply')
        assert outcome.status == 0
        points3d, colors = parse_ply((tmp_path / 'points.ply').read_bytes())
        code = read_map(mapping / 'room.aceg')
        np.testing.assert_array_equal(points3d, code.anchors)
        np.testing.assert_array_equal(colors, code.colors)
        assert points3d.dtype == np.float32

    def test_points_far_from_the_origin_keep_every_digit(self, aceg, room_map, tmp_path):
        code = read_map(room_map)
        origin = (2511700.0, 1438600.0, 5664700.0)
        write_map(room_map, replace(code, info=replace(code.info, origin=origin)))
        assert aceg('export', room_map, tmp_path / 'points.ply').status == 0
        points3d, _ = parse_ply((tmp_path / 'points.ply').read_bytes())
        np.testing.assert_allclose(points3d - origin, code.anchors, atol=2e-9)


def parse_ply(data: bytes):
    """Vertices and colors of a binary PLY file, read by its own header."""
    head, body = data.split(b'end_header\n', 1)
    lines = head.decode('ascii').splitlines()
    assert lines[:2] == ['ply', 'format binary_little_endian 1.0']
    (count,) = (int(line.split()[2]) for line in lines if line.startswith('element vertex'))
    kinds = {'float': '<f4', 'double': '<f8', 'uchar': 'u1'}
    fields = [line.split()[1:] for line in lines if line.startswith('property')]
    rows = np.frombuffer(body, np.dtype([(name, kinds[kind]) for kind, name in fields]))
    assert len(rows) == count
    columns = [np.stack([rows[n] for n in names], 1) for names in ('xyz', ('red', 'green', 'blue'))]
    return columns


class TestBadFramesInARecording:
    def test_are_left_out_and_named(self, aceg, recording, tmp_path):
        """Gray, deep and transparent images are mapped; what cannot be used is named."""
        shutil.copytree(recording, tmp_path / 'mixed')
        files = sorted((tmp_path / 'mixed/images').iterdir())
        Image.open(files[0]).convert('L').save(files[0])
        Image.open(files[1]).convert('RGBA').save(files[1])
        deep = np.asarray(Image.open(files[2]).convert('L')).astype(np.uint16) * 257
        Image.fromarray(deep).save(files[2])
        files[5].write_bytes(files[5].read_bytes()[:30_000])
        pose_file = tmp_path / 'mixed/poses.txt'
        lines = pose_file.read_text().splitlines()
        lines[1 + 7] = lines[1 + 7].split()[0] + ' nan' * 7
        del lines[1 + 11]
        pose_file.write_text('\n'.join(lines) + '\n')

        outcome = aceg(
            'map',
            tmp_path / 'mixed',
            *('-o', tmp_path / 'map.aceg', '--tokens', 300, '--budget', 2),
            *('--json', tmp_path / 'map.json'),
        )
        assert outcome.status == 0
        named = [line for line in outcome.err.splitlines() if 'left out' in line]
        assert len(named) == 3
        for index, file in ((5, files[5]), (7, files[7]), (11, files[11])):
            assert any(file.name in line for line in named), index
        figures = json.loads((tmp_path / 'map.json').read_text())
        assert figures['keyframes'] + figures['quality']['held_out'] == 25


class TestDemo:
    def test_engine_alone(self, aceg, recording, tmp_path):
        outcome = aceg(
            'demo',
            *('--engine', '--dataset', recording, '-o', tmp_path / 'new' / 'output'),
            *('--map-every', 2, '--query-every', 3, '--budget', 4, '--device', 'cpu'),
        )
        figures = json.loads((tmp_path / 'new' / 'output' / 'demo.json').read_text())
        assert figures['frames'] == 10
        assert outcome.status == (0 if figures['recall_10cm_5deg'] >= 0.8 else 1)
        assert figures['map_bytes'] == (tmp_path / 'new' / 'output' / 'map.aceg').stat().st_size
        assert (tmp_path / 'new' / 'output' / 'report' / 'index.html').is_file()
        assert 'recall_10cm_5deg: ' in outcome.out

    def test_without_ros_the_engine_runs_alone(self, aceg, questions, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, 'aceg_ros.demo.run', None)
        options = ['--dataset', questions, '-o', tmp_path / 'output']
        outcome = aceg('demo', *options, '--minutes', 1)
        assert outcome.status == 1
        first, second = outcome.err.splitlines()
        assert first.startswith('aceg: ROS 2 cannot be imported')
        assert '--minutes' in second
        outcome = aceg('demo', *options, '--attach')
        assert outcome.status == 1
        assert 'no nodes to attach to' in outcome.err


class TestProgram:
    def test_module(self, mapping):
        command = [
            sys.executable,
            '-m',
            'aceg_ros',
            'info',
            str(mapping / 'room.aceg'),
            '--json',
            '-',
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)['tokens'] == 1024

    def test_version(self, capsys):
        with pytest.raises(SystemExit) as ended:
            main(['--version'])
        assert ended.value.code == 0
        assert __version__ in capsys.readouterr().out

    @pytest.mark.parametrize('command', COMMANDS)
    def test_every_command_explains_itself(self, command, capsys):
        with pytest.raises(SystemExit) as ended:
            main([command, '--help'])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f'usage: aceg {command}')

    @pytest.mark.parametrize(
        'arguments',
        [[], ['fly'], ['map'], ['map', 'folder'], ['map', 'f', '-o', 'm', '--every', 'x']],
    )
    def test_wrong_arguments(self, arguments, capsys):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert 'usage: aceg' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (('--methods', 'aceg,magic'), 'there are aceg, unadjusted, sift'),
        (('--sessions', '--drift'), 'leave out --drift, --miscalibrated and --methods'),
        (('--sessions', '--miscalibrated'), 'leave out --drift, --miscalibrated and --methods'),
        (('--sessions', '--methods', 'sift'), 'leave out --drift, --miscalibrated and --methods'),
    ],
)
def test_light_benchmark_refuses_what_it_would_ignore(aceg, tmp_path, options, words):
    outcome = aceg('light-benchmark', tmp_path, '--environments', tmp_path, *options)
    assert outcome.status == 1
    assert words in outcome.err
