"""Opening a dataset whose layout is recognized by its contents."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from aceg_ros.datasets import colmap, euroc, folder, nerf, rosbag, seven_scenes, tum
from aceg_ros.datasets.base import Dataset
from aceg_ros.datasets.rosbag import BagTopics
from aceg_ros.errors import DatasetError

# In order of trial: layouts with telling file names first, the plain folder last.
LAYOUTS: dict[str, ModuleType] = {
    '7-Scenes': seven_scenes,
    'TUM RGB-D': tum,
    'EuRoC (ASL)': euroc,
    'NeRF': nerf,
    'COLMAP': colmap,
    'plain folder': folder,
}


def open_dataset(path: str | Path, topics: BagTopics | None = None) -> Dataset:
    """Open posed images: 7-Scenes, TUM RGB-D, EuRoC, NeRF, COLMAP, the plain layout, or a rosbag.

    `topics` says what to take from a bag. No image is decoded yet; frames that cannot be used are
    named in `Dataset.skipped`. Raises DatasetError when the layout is unknown or no frame is
    usable, CameraError for a bad or missing calibration.
    """
    path = Path(path)
    if rosbag.recognize(path):
        return rosbag.read(path, topics)
    if topics is not None:
        raise DatasetError(f'{path} is no rosbag, so there are no topics to choose from')
    if not path.is_dir():
        kind = 'is a file, not a folder' if path.exists() else 'does not exist'
        raise DatasetError(f'{path} {kind}; give the folder of a dataset, or a rosbag')
    for layout in LAYOUTS.values():
        if layout.recognize(path):
            return layout.read(path)
    signatures = {name: layout.SIGNATURE for name, layout in LAYOUTS.items()}
    signatures['ROS 2'] = rosbag.SIGNATURE
    looked_for = ''.join(f'\n  {name}: {signature}' for name, signature in signatures.items())
    raise DatasetError(f'{path} is no dataset of a known layout. Looked for:{looked_for}')
