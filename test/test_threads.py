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
