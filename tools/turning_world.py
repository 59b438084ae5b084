"""Records a camera that only turns, with depth: python tools/turning_world.py SEED FOLDER.

FOLDER/turning has 40 views from one spot of a procedural world, all around. Their depth has the
noise of a RealSense, and ends at 5 m. FOLDER/beside has 40 views from up to 0.3 m beside the spot,
in any direction.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from aceg_ros.datasets import Frame, write_recording
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.worlds import look, make_world, record, tour
from aceg_ros.mapping.options import SweepOptions

CAMERA = Camera.pinhole(640, 480, 525.0, 525.0, 319.5, 239.5)
VIEWS, REACH, FARTHEST = 40, 0.3, 5.0  # m


def main() -> None:
    """Write both recordings."""
    seed, folder = int(sys.argv[1]), Path(sys.argv[2])
    rng = np.random.default_rng(seed)
    world = make_world(seed)
    spot = tour(world, 120, seed)[60][:3, 3]
    yaws = np.linspace(0, 4 * np.pi, VIEWS, endpoint=False)
    turning = [look(spot, yaw, -0.35 if yaw < 2 * np.pi else 0.05) for yaw in yaws]
    beside = [
        look(spot + rng.uniform(-1, 1, 3) * REACH / 3**0.5, yaw, rng.uniform(-0.4, 0.1))
        for yaw in rng.uniform(0, 2 * np.pi, VIEWS)
    ]
    mapped = record(world, CAMERA, np.stack(turning))
    mapped.frames = [noisy(frame, rng) for frame in mapped.frames]
    write_recording(mapped, folder / 'turning')
    write_recording(record(world, CAMERA, np.stack(beside)), folder / 'beside')


def noisy(frame: Frame, rng: np.random.Generator) -> Frame:
    """The frame with depth as a sensor measures it."""
    depth = frame.depth()
    assert depth is not None
    error = SweepOptions().depth_noise * depth**2 * rng.standard_normal(depth.shape)
    measured = np.where(depth < FARTHEST, depth + error, 0).astype(np.float32)
    return replace(frame, load_depth=lambda: measured)


if __name__ == '__main__':
    main()
