"""How this process shares the cores with others."""

import os


def wait_idly() -> None:
    """Have OpenMP's threads sleep while they wait for work; to be called before PyTorch is loaded.

    They would spin, which on cores that others use too, as on any robot, makes the work take ten
    times as long. What OMP_WAIT_POLICY says already is left alone, and processes started from here
    inherit it.
    """
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')


def use_threads(count: int) -> None:
    """Have networks and OpenCV work with ``count`` threads, in this process from now on.

    0 leaves it to them: OMP_NUM_THREADS, or else one for each core.
    """
    if not count:
        return
    # Not above: `wait_idly` comes before PyTorch.
    import cv2
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)
