"""How this process shares the cores with others."""

import os


def wait_idly() -> None:
    """Have OpenMP's threads sleep while they wait for work; to be called before PyTorch is loaded.

    They would spin, which on cores that others use too, as on any robot, makes the work take ten
    times as long. What OMP_WAIT_POLICY says already is left alone, and processes started from here
    inherit it.
    """
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
