"""Files are replaced as a whole; what is no file is written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aceg_ros.files import write_atomically


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / 'poses.txt'
    path.write_text('old, and longer')
    write_atomically(path, b'new')
    assert path.read_bytes() == b'new'
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path('/dev/fd').is_dir(), reason='there is no /dev/fd')
def test_what_is_no_file_is_written_to():
    reading, writing = os.pipe()
    try:
        write_atomically(Path(f'/dev/fd/{writing}'), b'new')
        assert os.read(reading, 10) == b'new'
    finally:
        os.close(reading)
        os.close(writing)
