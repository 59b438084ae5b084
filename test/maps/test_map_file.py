"""The `.aceg` file: what is written is read back, and nothing else is."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from map_codes import damaged, engine_of, free_code, map_code, resealed

from aceg_ros.engine import check_networks
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import shifted
from aceg_ros.landmarks.landmarks import SIDE, Landmarks
from aceg_ros.maps.code import (
    MapQuality,
    Rating,
    ThinPlace,
    origin_near,
    world_keyframes,
    world_points,
)
from aceg_ros.maps.file import read_map, write_map


class TestRoundTrip:
    def test_numbers(self, path):
        code, read = map_code(), read_map(path)
        np.testing.assert_array_equal(read.anchors, code.anchors)
        np.testing.assert_array_equal(read.colors, code.colors)
        np.testing.assert_array_equal(read.keyframes, code.keyframes)
        np.testing.assert_array_equal(read.keyframe_stamps, code.keyframe_stamps)
        np.testing.assert_allclose(read.log_sigma, code.log_sigma, atol=4e-3)
        np.testing.assert_allclose(read.log_prior, code.log_prior, atol=4e-3)
        step = np.abs(code.embeddings).max(axis=1, keepdims=True) / 127
        assert (np.abs(read.embeddings - code.embeddings) <= 0.6 * step).all()

    def test_cosines_barely_change(self, path):
        code, read = map_code(), read_map(path)
        cosine = (read.embeddings * code.embeddings).sum(axis=1)
        cosine /= np.linalg.norm(read.embeddings, axis=1)
        assert cosine.min() > 0.999

    def test_landmarks(self, path):
        written, read = map_code().landmarks, read_map(path).landmarks
        assert len(read) == 50
        for name in ('points3d', 'templates', 'keyframe', 'angle'):
            np.testing.assert_array_equal(getattr(read, name), getattr(written, name), name)
            assert getattr(read, name).dtype == getattr(written, name).dtype, name

    @pytest.mark.parametrize(
        'code', [map_code(landmarks=0), replace(map_code(), landmarks=Landmarks.none())]
    )
    def test_no_landmarks(self, tmp_path, code):
        write_map(tmp_path / 'map.aceg', code)
        read = read_map(tmp_path / 'map.aceg')
        assert len(read.landmarks) == 0
        assert read.landmarks.templates.shape == (0, SIDE, SIDE)
        np.testing.assert_array_equal(read.anchors, code.anchors)

    def test_types_are_those_of_the_class(self, path):
        code, read = map_code(), read_map(path)
        for name in ('embeddings', 'anchors', 'log_sigma', 'log_prior', 'colors', 'keyframes'):
            assert getattr(read, name).dtype == getattr(code, name).dtype, name
            assert getattr(read, name).shape == getattr(code, name).shape, name

    def test_description(self, path):
        assert read_map(path).info == map_code().info

    def test_several_cameras_of_all_models(self, tmp_path):
        cameras = (
            Camera.pinhole(64, 48, 60.0, 61.0, 31.5, 23.5),
            Camera('plumb_bob', 64, 48, np.diag([60.0, 61.0, 1.0]), [0.1, 0.0, 0.0, 0.01]),
            Camera('equidistant', 64, 48, np.diag([60.0, 61.0, 1.0]), [0.1, 0.0, 0.0, 0.01]),
        )
        code = map_code()
        code = replace(code, info=replace(code.info, cameras=cameras))
        write_map(tmp_path / 'map.aceg', code)
        assert read_map(tmp_path / 'map.aceg').info.cameras == cameras

    def test_writing_what_was_read_changes_nothing(self, path, tmp_path):
        write_map(tmp_path / 'again.aceg', read_map(path))
        first, second = read_map(path), read_map(tmp_path / 'again.aceg')
        np.testing.assert_allclose(second.embeddings, first.embeddings, atol=2e-3)
        np.testing.assert_array_equal(second.log_sigma, first.log_sigma)

    def test_a_zero_embedding_stays_finite(self, tmp_path):
        code = map_code()
        code.embeddings[3] = 0.0
        write_map(tmp_path / 'map.aceg', code)
        np.testing.assert_array_equal(read_map(tmp_path / 'map.aceg').embeddings[3], 0.0)

    def test_metadata_tells_mean_extent_and_count(self, path):
        header = json.loads(
            path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], 'little')]
        )
        description = json.loads(header['__metadata__']['map'])
        code = map_code()
        np.testing.assert_allclose(description['mean'], code.mean)
        np.testing.assert_allclose(description['extent'], code.extent)
        assert description['keyframe_count'] == len(code.keyframes)


class TestFree:
    @pytest.fixture
    def free(self, tmp_path):
        write_map(tmp_path / 'free.aceg', free_code())
        return tmp_path / 'free.aceg'

    @pytest.mark.parametrize('keyframes', [0, 4])
    def test_is_read_back_bit_for_bit(self, tmp_path, keyframes):
        code = free_code(keyframes=keyframes)
        write_map(tmp_path / 'free.aceg', code)
        read = read_map(tmp_path / 'free.aceg')
        assert read.kind == 'free'
        assert read.info == code.info
        for name in ('embeddings', 'mean', 'keyframes'):
            np.testing.assert_array_equal(getattr(read, name), getattr(code, name), name)
            assert getattr(read, name).dtype == getattr(code, name).dtype, name
        assert len(read.anchors) == len(read.colors) == len(read.landmarks) == 0

    def test_extent_is_that_of_the_cameras(self):
        code = free_code(keyframes=4)
        places = np.vstack([code.keyframes[:, :3, 3], code.mean])
        np.testing.assert_array_equal(code.extent, [places.min(axis=0), places.max(axis=0)])
        none = free_code(keyframes=0)
        np.testing.assert_array_equal(none.extent, [none.mean, none.mean])

    @pytest.mark.parametrize('name', ['embeddings', 'mean', 'keyframes'])
    def test_not_a_number(self, free, name):
        resealed(free, tensors=lambda tensors: tensors[name].reshape(-1).__setitem__(0, np.nan))
        with pytest.raises(MapCodeError, match=f'{name} holds values that are no numbers'):
            read_map(free)

    @pytest.mark.parametrize(
        ('name', 'change'),
        [
            ('embeddings', lambda a: a[:0]),
            ('embeddings', lambda a: a[0]),
            ('embeddings', lambda a: a.astype(np.float16)),
            ('mean', lambda a: a[:2]),
            ('mean', lambda a: a[None]),
            ('mean', lambda a: a.astype(np.float64)),
            ('keyframes', lambda a: a[:, :3]),
        ],
    )
    def test_wrong_shape_or_type(self, free, name, change):
        resealed(free, tensors=lambda t: t.update({name: np.copy(change(t[name]), order='C')}))
        with pytest.raises(MapCodeError, match='damaged'):
            read_map(free)

    def test_mixed_with_an_anchored_one(self, free):
        resealed(free, tensors=lambda tensors: tensors.update(colors=np.zeros((9, 3), np.uint8)))
        with pytest.raises(MapCodeError, match='too many'):
            read_map(free)

    @pytest.mark.parametrize('version', ['4', '5', '6'])
    def test_named_an_earlier_version(self, free, version):
        damaged(free, metadata=lambda metadata: metadata.update(version=version))
        with pytest.raises(MapCodeError, match='its version does not know'):
            read_map(free)

    def test_any_flipped_bit(self, free):
        whole = np.frombuffer(free.read_bytes(), np.uint8)
        for place in np.random.default_rng(0).integers(0, len(whole), 300):
            harmed = whole.copy()
            harmed[place] ^= 1
            free.write_bytes(harmed.tobytes())
            with pytest.raises(MapCodeError):
                read_map(free)


class TestSize:
    def test_returned_and_below_2_mb_for_a_room(self, tmp_path):
        path = tmp_path / 'room.aceg'
        size = write_map(path, map_code(tokens=6144, keyframes=400, landmarks=2500))
        assert size == path.stat().st_size < 2_000_000


class TestWriting:
    def test_makes_the_folder(self, tmp_path):
        write_map(tmp_path / 'new/folder/map.aceg', map_code())
        assert len(read_map(tmp_path / 'new/folder/map.aceg').anchors)

    @pytest.mark.parametrize('step', ['fsync', 'replace'])
    def test_full_disk_keeps_the_old_map(self, path, monkeypatch, step):
        before = path.read_bytes()

        def full(*_):
            raise OSError(errno.ENOSPC, 'No space left on device')

        with monkeypatch.context() as patched:
            patched.setattr(os, step, full)
            with pytest.raises(MapCodeError, match='No space left on device'):
                write_map(path, map_code(seed=1))
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_interruption_keeps_the_old_map(self, path, monkeypatch):
        before = path.read_bytes()

        def interrupted(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(os, 'fsync', interrupted)
            with pytest.raises(KeyboardInterrupt):
                write_map(path, map_code(seed=1))
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_a_real_limit_on_the_file_keeps_the_old_map(self, path):
        """The kernel refuses to let a file grow, as it does where a disk is full."""
        before = path.read_bytes()
        script = (
            'import resource, signal, sys\n'
            'from map_codes import map_code\n'
            'from aceg_ros.errors import MapCodeError\n'
            'from aceg_ros.maps.file import write_map\n'
            'code = map_code(seed=1)\n'
            'signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n'
            'resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n'
            'try:\n'
            '    write_map(sys.argv[1], code)\n'
            'except MapCodeError as error:\n'
            '    sys.exit(7)\n'
        )
        environment = os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, '-c', script, str(path)]
        assert hasattr(resource, 'RLIMIT_FSIZE')
        assert subprocess.run(command, env=environment, check=False).returncode == 7
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_a_file_where_a_folder_should_be(self, path):
        with pytest.raises(MapCodeError, match='could not be written'):
            write_map(path / 'map.aceg', map_code())


class TestBeforeSessions:
    """Maps of version 4 knew nothing of sessions; they are read as maps of one."""

    GONE = (
        'token_sessions',
        'keyframe_sessions',
        'keyframe_stamps',
        'keyframe_descriptors',
        'recorded_keyframes',
    )

    @pytest.mark.parametrize('code', [map_code(), free_code()], ids=['anchored', 'free'])
    def test_is_of_one_session(self, tmp_path, code):
        path = tmp_path / 'old.aceg'
        write_map(path, code)

        def older(metadata):
            values = json.loads(metadata['map'])
            del values['sessions'], values['place']
            metadata.update(map=json.dumps(values), version='4')

        def fewer(tensors):
            for name in self.GONE:
                tensors.pop(name, None)

        resealed(path, tensors=fewer, metadata=older)
        read = read_map(path)
        (session,) = read.info.sessions
        assert session == replace(code.info.sessions[0], name=code.info.created)
        assert replace(read.info, sessions=code.info.sessions) == code.info
        np.testing.assert_array_equal(read.keyframes, code.keyframes)
        if code.kind == 'anchored':
            np.testing.assert_array_equal(read.token_sessions, code.token_sessions)


class TestBeforeStamps:
    """Maps of version 5 knew neither stamps nor whether a session was moved."""

    @pytest.mark.parametrize('code', [map_code(), free_code()], ids=['anchored', 'free'])
    def test_stamps_are_unknown(self, tmp_path, code):
        path = tmp_path / 'old.aceg'
        write_map(path, code)

        def older(metadata):
            values = json.loads(metadata['map'])
            for session in values['sessions']:
                del session['world_from_poses']
            del values['place']
            metadata.update(map=json.dumps(values), version='5')

        def fewer(tensors):
            for name in ('keyframe_stamps', 'keyframe_descriptors', 'recorded_keyframes'):
                tensors.pop(name, None)

        resealed(path, tensors=fewer, metadata=older)
        read = read_map(path)
        assert read.info == code.info
        if code.kind == 'anchored':
            assert np.isnan(read.keyframe_stamps).all()
            write_map(path, read)
            assert np.isnan(read_map(path).keyframe_stamps).all()


class TestBeforePlaces:
    """Maps of version 6 knew no descriptors, and no parts of places."""

    @pytest.mark.parametrize('code', [map_code(), free_code()], ids=['anchored', 'free'])
    def test_descriptors_are_unknown(self, tmp_path, code):
        path = tmp_path / 'old.aceg'
        write_map(path, code)

        def older(metadata):
            values = json.loads(metadata['map'])
            del values['place']
            metadata.update(map=json.dumps(values), version='6')

        def fewer(tensors):
            for name in ('keyframe_descriptors', 'recorded_keyframes'):
                tensors.pop(name, None)

        resealed(path, tensors=fewer, metadata=older)
        read = read_map(path)
        assert read.info == code.info
        assert read.descriptors.shape == (len(code.keyframes), 0)
        write_map(path, read)
        assert read_map(path).descriptors.shape == (len(code.keyframes), 0)


class TestBeforeAdjustment:
    """Keyframes of maps of version 7 were all as recorded."""

    def test_keyframes_are_as_recorded(self, tmp_path):
        path, code = tmp_path / 'old.aceg', map_code()
        write_map(path, code)
        resealed(
            path,
            tensors=lambda tensors: tensors.pop('recorded_keyframes'),
            metadata=lambda metadata: metadata.update(version='7'),
        )
        np.testing.assert_array_equal(read_map(path).recorded, code.keyframes)


class TestIdentity:
    def test_fits(self, path):
        check_networks(read_map(path).info, engine_of('encoder-1'))

    def test_another_encoder(self, path):
        with pytest.raises(MapCodeError, match='made with encoder encoder-1, not with encoder-2'):
            check_networks(read_map(path).info, engine_of('encoder-2'))

    def test_another_regressor(self, path):
        info = replace(read_map(path).info, regressor='older')
        with pytest.raises(MapCodeError, match='made with regressor older'):
            check_networks(info, engine_of('encoder-1'))


class TestQuality:
    QUALITY = MapQuality(
        rating=Rating.POOR,
        advice='record more views',
        held_out=5,
        localized=2,
        median_error=0.25,
        median_error_deg=3.5,
        median_inliers=31,
        median_depth=2.25,
        thin=(ThinPlace('view 1', (1.0, -2.0, 0.5)), ThinPlace('ü', (0.0, 0.0, 0.0))),
    )

    @pytest.mark.parametrize('quality', [QUALITY, MapQuality()], ids=['poor', 'unknown'])
    def test_there_and_back_through_json(self, quality):
        text = json.dumps(quality.to_dict(), allow_nan=False)
        back = MapQuality.from_dict(json.loads(text))
        assert back == quality
        assert isinstance(back.rating, Rating)
        assert isinstance(back.thin, tuple)

    def test_is_written_in_plain_words(self):
        values = json.loads(json.dumps(self.QUALITY.to_dict()))
        assert values['rating'] == 'poor'
        assert values['thin'][0] == {'frame': 'view 1', 'position': [1.0, -2.0, 0.5]}

    def test_there_and_back_in_a_map(self, tmp_path):
        code = map_code()
        code = replace(code, info=replace(code.info, quality=self.QUALITY))
        write_map(tmp_path / 'map.aceg', code)
        assert read_map(tmp_path / 'map.aceg').info.quality == self.QUALITY


class TestWhatAMapSays:
    def test_mean_is_that_of_the_cameras(self):
        code = map_code()
        np.testing.assert_allclose(code.mean, code.keyframes[:, :3, 3].mean(axis=0))

    def test_extent_leaves_strays_out(self):
        code = map_code(tokens=1000)
        code.anchors[:5] = 1e6
        assert np.abs(code.extent).max() < 100


class TestOrigin:
    ORIGIN = (448300.0, 5411900.0, 200.0)

    @pytest.fixture
    def far(self):
        """A map in UTM coordinates."""
        code = map_code()
        return replace(code, info=replace(code.info, origin=self.ORIGIN))

    def test_is_read_back(self, tmp_path, far):
        write_map(tmp_path / 'far.aceg', far)
        read = read_map(tmp_path / 'far.aceg')
        assert read.info.origin == self.ORIGIN
        np.testing.assert_array_equal(read.anchors, far.anchors)

    def test_points_and_keyframes_keep_every_digit(self, far):
        points, poses = world_points(far), world_keyframes(far)
        assert points.dtype == poses.dtype == np.float64
        np.testing.assert_allclose(points - self.ORIGIN, far.anchors, atol=2e-9)
        np.testing.assert_allclose(shifted(poses, -np.array(self.ORIGIN)), far.keyframes, atol=2e-9)

    def test_description_has_places_in_the_frame_of_the_poses(self, tmp_path, far):
        write_map(tmp_path / 'far.aceg', far)
        data = (tmp_path / 'far.aceg').read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], 'little')])
        description = json.loads(header['__metadata__']['map'])
        np.testing.assert_allclose(description['mean'], self.ORIGIN + far.mean)
        np.testing.assert_allclose(description['extent'], self.ORIGIN + far.extent)

    @pytest.mark.parametrize(
        ('place', 'origin'),
        [
            ((3.0, -40.0, 0.5), (0.0, 0.0, 0.0)),
            ((448261.9, 5411932.7, 213.8), (448300.0, 5411900.0, 200.0)),
            ((-2511673.3, 49.0, -51.0), (-2511700.0, 0.0, -100.0)),
        ],
    )
    def test_is_a_multiple_of_a_hundred_nearby(self, place, origin):
        assert origin_near(np.array(place)) == origin
