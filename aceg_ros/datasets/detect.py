"""Opening a dataset whose layout is recognized by its contents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from aceg_ros.datasets import (
    ace,
    arkitscenes,
    colmap,
    euroc,
    folder,
    nerf,
    polycam,
    record3d,
    replica,
    rig_recording,
    rosbag,
    scannet,
    seven_scenes,
    stray_scanner,
    tum,
)
from aceg_ros.datasets.bag_topics import BagTopics
from aceg_ros.datasets.base import Dataset
from aceg_ros.errors import CameraError, DatasetError
from aceg_ros.geometry.cameras import Camera

# In order of trial: layouts with telling file names first, the plain folder last.
LAYOUTS: dict[str, ModuleType] = {
    '7-Scenes': seven_scenes,
    'TUM RGB-D': tum,
    'EuRoC (ASL), TUM-VI': euroc,
    'NeRF': nerf,
    'COLMAP': colmap,
    'ACE': ace,
    'ScanNet': scannet,
    'Replica': replica,
    'ARKitScenes': arkitscenes,
    'Polycam': polycam,
    'Record3D': record3d,
    'Stray Scanner': stray_scanner,
    'recording of a rig': rig_recording,
    'plain folder': folder,
}
# Their cameras belong to their poses, or differ.
OWN_CAMERAS = ('NeRF', 'COLMAP', 'recording of a rig')
# Layouts of photographs. The images of all others are by definition as they are stored.
PHOTOGRAPHS = ('NeRF', 'COLMAP', 'plain folder')
# Files that are taken for datasets, and what to do with them.
_PACKED = {
    '.r3d': 'is a recording of Record3D; unzip it, and give the folder',
    '.sens': "is a scan of ScanNet; export it with ScanNet's SensReader, and give the folder",
    '.active': 'is a bag whose recording broke off; `rosbag reindex` it, and name it .bag',
    '.zip': 'is packed; unzip it, and give the folder',
    '.tar': 'is packed; unpack it, and give the folder',
    '.gz': 'is packed; unpack it, and give the folder',
    '.7z': 'is packed; unpack it, and give the folder',
    '.mp4': 'is a video without poses; give a folder of images with poses, or a rosbag',
    '.mov': 'is a video without poses; give a folder of images with poses, or a rosbag',
}


def open_dataset(
    path: str | Path,
    topics: BagTopics | None = None,
    camera: Camera | None = None,
    exif: bool = False,
) -> Dataset:
    """Open posed images of any known layout (docs/datasets.md), or a rosbag.

    `topics` chooses topics of a bag. `camera` replaces the dataset's own calibration. `exif` turns
    photographs upright by their EXIF orientation. No image is decoded yet. Frames that cannot be
    used are named in `Dataset.skipped`. Raises DatasetError when the layout is unknown or no frame
    is usable, CameraError for a bad or missing calibration.
    """
    path = Path(path)
    if rosbag.recognize(path):
        if exif:
            raise DatasetError(f'{path}: images of a rosbag are used as they are; leave --exif out')
        return rosbag.read(path, topics, camera)
    topics = replace(topics or BagTopics(), need_poses=True)
    if topics not in (BagTopics(), BagTopics(depth='')):
        raise DatasetError(f'{path} is no rosbag, so there are no topics to choose from')
    if not path.is_dir():
        raise DatasetError(f'{path} {_no_folder(path)}')
    for name, layout in LAYOUTS.items():
        if layout.recognize(path):
            if camera is not None and name in OWN_CAMERAS:
                raise CameraError(f'{path}: {name} has cameras of its own; leave --camera out')
            if exif and name not in PHOTOGRAPHS:
                raise DatasetError(
                    f'{path}: images of {name} are used as they are stored; leave --exif out'
                )
            options: dict[str, Any] = {'exif': exif} if name in PHOTOGRAPHS else {}
            if name not in OWN_CAMERAS:
                options |= {'camera': camera}
            return layout.read(path, **options)
    signatures = {name: layout.SIGNATURE for name, layout in LAYOUTS.items()}
    signatures['rosbag'] = rosbag.SIGNATURE
    looked_for = ''.join(f'\n  {name}: {signature}' for name, signature in signatures.items())
    raise DatasetError(f'{path} is no dataset of a known layout. Looked for:{looked_for}')


def _no_folder(path: Path) -> str:
    if not path.exists():
        return 'does not exist; give the folder of a dataset, or a rosbag'
    packed = _PACKED.get(path.suffix.lower())
    return packed or 'is a file, not a folder; give the folder of a dataset, or a rosbag'
