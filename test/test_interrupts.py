"""Ctrl-C before a program has begun."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from aceg_ros.interrupts import ending_quietly

STARTING = """
import time
from aceg_ros.interrupts import ending_quietly
with ending_quietly(7, 'stopped'):
    print('starting', flush=True)
    time.sleep(60)
"""


def test_ends_with_its_status_and_words():
    process = subprocess.Popen(
        [sys.executable, '-c', STARTING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == 'starting\n'
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == 'stopped\n'
    assert process.returncode == 7


def test_is_over_once_the_program_runs():
    before = signal.getsignal(signal.SIGINT)
    with ending_quietly(7):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_leaves_background_jobs_alone():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as shells start them
    try:
        with ending_quietly(7):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    'entrance', ['aceg_ros', 'aceg_ros.demo', 'aceg_ros.ros.localizer', 'aceg_ros.ros.mapper']
)
def test_programs_import_nothing_slow_before(entrance):
    code = (
        f'import sys, {entrance}.__main__; '
        'print({"numpy", "rclpy", "torch", "cv2"} & sys.modules.keys())'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == 'set()\n'
