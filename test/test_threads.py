"""Idle threads leave the cores to others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import cv2
import pytest
import torch

from aceg_ros.threads import query_threads, side_by_side, threads, use_threads


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


class TestQueryThreads:
    @pytest.mark.parametrize(('asked', 'short', 'long'), [(0, 1, 3), (2, 2, 2)])
    def test_one_for_short_steps_unless_more_are_asked_for(self, torch_threads, asked, short, long):
        torch_threads(3)
        use_threads(asked)
        assert (query_threads(True), query_threads(False)) == (short, long)

    def test_the_others_come_back(self, torch_threads):
        torch_threads(3)
        with threads(2):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 3


class TestSideBySide:
    def test_gives_results_in_order(self, torch_threads):
        torch_threads(3)

        def work(seconds):
            time.sleep(seconds)
            return seconds

        delays = [0.05, 0.0, 0.02, 0.0, 0.03, 0.01]
        assert list(side_by_side(work, delays)) == delays

    def test_each_item_has_one_thread_and_the_others_come_back(self, torch_threads):
        torch_threads(2)
        assert set(side_by_side(lambda _: torch.get_num_threads(), range(4))) == {1}
        seen = []
        later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert seen == [2] and torch.get_num_threads() == 2

    def test_raises_what_work_raises(self, torch_threads):
        torch_threads(2)
        with pytest.raises(ZeroDivisionError):
            list(side_by_side(lambda item: 1 / item, [1, 0]))
        assert torch.get_num_threads() == 2

    def test_hardly_works_ahead_of_who_stops(self, torch_threads):
        torch_threads(2)
        begun = []
        results = side_by_side(begun.append, range(100))
        next(results)
        results.close()
        assert len(begun) < 10


@pytest.fixture
def torch_threads():
    """Sets how many threads PyTorch has, until the test ends."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield torch.set_num_threads
    use_threads(0)
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])
