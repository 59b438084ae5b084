"""Fixtures for the whole suite."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder of real sequences beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / 'shared'
    if not (folder / 'data').is_dir():
        pytest.skip('real sequences (../shared/data) are not on this machine')
    return folder
