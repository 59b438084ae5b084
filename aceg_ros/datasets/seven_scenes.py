"""7-Scenes layout (Shotton et al., CVPR 2013): sequences of color, depth and pose files.

A scene holds `seq-01`, `seq-02`, ... and optionally TrainSplit.txt and TestSplit.txt with lines
such as `sequence1`. A sequence holds `frame-000000.color.png` (or .jpg), `.pose.txt`
(world_from_cam) and optionally `.depth.png` (millimeters, 65535 where unknown).
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.calibration import Calibration, find_calibration, folder_calibration
from aceg_ros.datasets.images import image_size, list_images, read_depth
from aceg_ros.datasets.names import natural_key
from aceg_ros.datasets.trajectory import read_table
from aceg_ros.errors import PoseError
from aceg_ros.geometry.cameras import Camera

SIGNATURE = 'seq-*/frame-*.color.{png,jpg} and .pose.txt'

# The Kinect's color and depth cameras, whose images are not registered to each other. The scenes
# come without the place of one in the other's frame. It is that of another Kinect, which the
# authors of ACE use for 7-Scenes too (github.com/nianticlabs/ace, datasets/setup_7scenes.py, from
# projet.liris.cnrs.fr/voir/activities-dataset/kinect-calibration.html).
DEFAULT_CALIBRATION = Calibration(
    camera=Camera.pinhole(640, 480, 525.0, 525.0, 320.0, 240.0),
    depth_camera=Camera.pinhole(640, 480, 585.0, 585.0, 320.0, 240.0),
    depth_pose=(-0.025559, 0.000101, 0.002032, 0.004081, -0.003947, -0.001354, 0.999983),
)
DEPTH_UNITS_PER_METER = 1000.0
DEPTH_UNKNOWN = 65535


def recognize(path: Path) -> bool:
    """Whether `path` is a scene or one sequence of this layout."""
    return bool(_frame_files(path) or _sequences(path))


def read(path: Path, camera: Camera | None = None) -> Dataset:
    """Read a scene or one sequence.

    A calibration file in the folder replaces the Kinect's calibration, for color and depth, and
    `camera` that for color. Splits are the sequence's name and, from the split files, 'train' and
    'test'. Raises DatasetError or CameraError.
    """
    collector = FrameCollector()
    if _frame_files(path):
        scene, sequences = path.resolve().parent, [path.resolve()]
        name = f'{scene.name}/{sequences[0].name}'
    else:
        scene, sequences, name = path, _sequences(path), path.resolve().name
    for sequence in sequences:
        _read_sequence(sequence, scene, camera, collector)
    return collector.dataset(name, metric=True)


def _read_sequence(
    sequence: Path, scene: Path, camera: Camera | None, collector: FrameCollector
) -> None:
    nearest = sequence if find_calibration(sequence) is not None else scene
    calibration = folder_calibration(nearest, camera)
    if camera is not None and find_calibration(nearest) is None:
        calibration = replace(DEFAULT_CALIBRATION, camera=camera)
    splits = (sequence.name, *_splits_of(sequence.name, scene))
    color_files = _frame_files(sequence)
    for color in color_files:
        stem = color.name.split('.')[0]
        name = f'{sequence.name}/{stem}'
        with collector.skipping(name):
            pose = _read_pose(sequence / f'{stem}.pose.txt')
            used = calibration or _default_calibration(image_size(color))
            depth = sequence / f'{stem}.depth.png'
            units = used.depth_scale or DEPTH_UNITS_PER_METER
            collector.add(
                name,
                color,
                used.camera,
                pose,
                load_depth=(
                    partial(read_depth, depth, units, DEPTH_UNKNOWN) if depth.is_file() else None
                ),
                depth_camera=used.depth_camera,
                color_from_depth=used.color_from_depth,
                splits=splits,
            )
    stems = {color.name.split('.')[0] for color in color_files}
    for pose_file in sorted(sequence.glob('frame-*.pose.txt'), key=natural_key):
        stem = pose_file.name.split('.')[0]
        if stem not in stems:
            collector.skip(f'{sequence.name}/{stem}', 'there is a pose but no image')


def _default_calibration(size: tuple[int, int]) -> Calibration:
    """Kinect calibration at the size of the stored images; depth keeps its own size."""
    camera = DEFAULT_CALIBRATION.camera
    if size == (camera.width, camera.height):
        return DEFAULT_CALIBRATION
    return replace(DEFAULT_CALIBRATION, camera=camera.scaled(*size))


def _read_pose(path: Path) -> np.ndarray:
    if not path.is_file():
        raise PoseError('there is an image but no pose')
    try:
        rows = [[float(word) for word in words] for _, words in read_table(path)]
        return np.array(rows).reshape(4, 4)
    except ValueError as error:
        raise PoseError(f'{path.name} does not hold 4 rows of 4 numbers') from error


def _splits_of(sequence: str, scene: Path) -> list[str]:
    """'train' and 'test' where the scene's split files list the sequence."""
    number = re.search(r'\d+', sequence)
    found = []
    for split, file in (('train', scene / 'TrainSplit.txt'), ('test', scene / 'TestSplit.txt')):
        if number is None or not file.is_file():
            continue
        text = ' '.join(word for _, words in read_table(file) for word in words)
        listed = {int(digits) for digits in re.findall(r'sequence\s*(\d+)', text)}
        if int(number.group()) in listed:
            found.append(split)
    return found


def _sequences(path: Path) -> list[Path]:
    found = (folder for folder in path.glob('seq-*') if _frame_files(folder))
    return sorted(found, key=natural_key)


def _frame_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [file for file in list_images(folder) if re.match(r'frame-\d+\.color\.', file.name)]
