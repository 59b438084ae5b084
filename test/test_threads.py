"""Idle threads leave the cores to others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != 'linux', reason='other OpenMP libraries say nothing of this')
@pytest.mark.parametrize(
    ('given', 'policy'), [({}, 'PASSIVE'), ({'OMP_WAIT_POLICY': 'active'}, 'ACTIVE')]
)
def test_openmp_is_told_before_it_is_loaded(given, policy):
    rest = {key: value for key, value in os.environ.items() if key != 'OMP_WAIT_POLICY'}
    done = subprocess.run(
        [sys.executable, '-c', 'import aceg_ros; import torch'],
        env=rest | given | {'OMP_DISPLAY_ENV': 'TRUE'},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"OMP_WAIT_POLICY = '{policy}'" in done.stderr


# How many threads begin to help one that encodes an image, as that of the localizer does.
_COUNT = """
import os, sys, threading
from aceg_ros.threads import use_threads
import cv2, torch
from aceg_ros.engine import Engine
use_threads(int(sys.argv[1]))
encoder = Engine.load('cpu').encoder
def work():
    before = len(os.listdir('/proc/self/task'))
    encoder.encode(torch.zeros(1, 3, 240, 320))
    print(torch.get_num_threads(), len(os.listdir('/proc/self/task')) - before)
worker = threading.Thread(target=work)
worker.start()
worker.join()
print(cv2.getNumThreads())
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='counts threads in /proc')
@pytest.mark.parametrize('asked', [1, 2])
def test_computes_with_the_threads_asked_for(asked):
    done = subprocess.run(
        [sys.executable, '-c', _COUNT, str(asked)],
        env=os.environ | {'OMP_NUM_THREADS': '3'},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [int(number) for number in done.stdout.split()] == [asked, asked - 1, asked]
