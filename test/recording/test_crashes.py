"""Nothing acknowledged is lost when writers are killed; tools/crash_test.py is for many kills."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import crash_test
import pytest
from map_codes import map_code

from aceg_ros.files import leftovers, write_atomically
from aceg_ros.maps.file import write_map

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534


def test_killed_at_random():
    command = [sys.executable, ROOT / 'tools' / 'crash_test.py', '--kills', '30']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ' 0 losses' in done.stdout


class TestTheCheck:
    """A loss would be noticed."""

    @pytest.fixture
    def victim(self, tmp_path) -> crash_test.RecorderVictim:
        victim = crash_test.RecorderVictim(tmp_path)
        recorder = crash_test.Recorder(tmp_path / 'recording-0', crash_test.KeyframeRules(), '.png')
        for index in range(3):
            now = crash_test.picture(index), crash_test.CAMERA
            pose = crash_test.make_pose(crash_test.np.eye(3), [index, 0.0, 0.0])
            recorder.offer(float(index), pose, lambda now=now: now, force=True)
        return victim

    def test_of_a_keyframe(self, victim, tmp_path):
        (tmp_path / 'recording-0/images/1.000000.png').unlink()
        with pytest.raises(crash_test.Loss, match='3 keyframes are acknowledged'):
            victim.check(['0', '1', '2'])

    def test_of_an_images_content(self, victim, tmp_path):
        images = tmp_path / 'recording-0/images'
        (images / '0.000000.png').write_bytes((images / '2.000000.png').read_bytes())
        with pytest.raises(crash_test.Loss, match='image 0'):
            victim.check(['0', '1', '2'])

    def test_of_a_map(self, tmp_path):
        write_map(tmp_path / 'place.aceg', map_code())
        victim = crash_test.MapVictim(tmp_path)
        data = (tmp_path / 'place.aceg').read_bytes()
        (tmp_path / 'place.aceg').write_bytes(data[:-10])
        with pytest.raises(crash_test.Loss, match='map 1 was acknowledged'):
            victim.check(['1'])


def test_what_killed_writers_left_does_not_pile_up(tmp_path):
    path = tmp_path / 'place[1].aceg'
    path.write_bytes(b'old')
    for name in (f'.{path.name}.abandoned.part', f'.{path.name}.young.part', '.other.a.part'):
        (tmp_path / name).write_bytes(b'half')
        if 'young' not in name:
            os.utime(tmp_path / name, (time.time() - 3600.0,) * 2)
    write_atomically(path, b'new')
    assert path.read_bytes() == b'new'
    # Another process may be writing the young one, and nothing is known of other files.
    assert [file.name for file in leftovers(tmp_path)] == [
        '.other.a.part',
        f'.{path.name}.young.part',
    ]


class TestReadOnlyFolder:
    @pytest.fixture
    def folder(self) -> Iterator[Path]:
        """One that another user can enter, too, which pytest's own are not."""
        with tempfile.TemporaryDirectory() as name:
            os.chmod(name, 0o755)
            yield Path(name)

    def test_keeps_what_is_there(self, folder):
        """Root may write anywhere, so it becomes somebody else first."""
        script = f"""if True:
            import os, sys
            from pathlib import Path
            import numpy as np
            from map_codes import map_code
            from aceg_ros.datasets import open_dataset
            from aceg_ros.errors import MapCodeError, StorageError
            from aceg_ros.geometry.cameras import Camera
            from aceg_ros.maps.file import read_map, write_map
            from aceg_ros.recording.keyframes import KeyframeRules
            from aceg_ros.recording.recorder import Recorder

            folder = Path(sys.argv[1])
            camera = Camera.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)
            image = np.zeros((48, 64, 3), np.uint8)
            recorder = Recorder(folder / 'r', KeyframeRules())
            recorder.offer(1.0, np.eye(4), lambda: (image, camera), force=True)
            write_map(folder / 'place.aceg', map_code())
            before = (folder / 'place.aceg').read_bytes()
            for each in (folder / 'r' / 'poses.txt', folder / 'r' / 'images', folder / 'r', folder):
                each.chmod(0o444 if each.is_file() else 0o555)
            if os.geteuid() == 0:
                os.setuid({NOBODY})
            refused = 0
            try:
                recorder.offer(2.0, np.eye(4), lambda: (image, camera), force=True)
            except StorageError as error:
                refused += 'frames before it are kept' in str(error)
            try:
                write_map(folder / 'place.aceg', map_code(seed=1))
            except MapCodeError as error:
                refused += 'nothing there was changed' in str(error)
            assert [frame.stamp for frame in open_dataset(folder / 'r').frames] == [1.0]
            assert (folder / 'place.aceg').read_bytes() == before
            print(refused)
            """
        environment = os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            [sys.executable, '-c', script, str(folder)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for each in (folder, folder / 'r', folder / 'r' / 'images'):
            each.chmod(0o755)
        assert done.stdout == '2\n', done.stderr
