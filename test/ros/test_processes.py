"""Processes that tests start end with the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from processes import HELPERS, gone, wait_until

START = """
import sys, time
from pathlib import Path
from processes import NodeProcess
sleeper = NodeProcess([sys.executable, '-c', 'import time; time.sleep(600)'], {}, Path(sys.argv[1]))
print(sleeper.pid, flush=True)
time.sleep(600)
"""


def test_killed_tests_take_their_processes_with_them(tmp_path):
    tests = subprocess.Popen(
        [sys.executable, '-c', START, str(tmp_path / 'log')],
        env=os.environ | {'PYTHONPATH': str(HELPERS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = int(tests.stdout.readline())
    assert not gone(pid)
    tests.send_signal(signal.SIGKILL)
    tests.wait()
    wait_until(lambda: gone(pid), timeout=5.0, what='the end of what was started')
