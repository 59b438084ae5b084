"""ScanNet layout (Dai et al., CVPR 2017), as its SensReader exports a scan.

`color/N.jpg`, `depth/N.png` (millimeters), `pose/N.txt` and `intrinsic/intrinsic_{color,depth}.txt`
(4x4), in the folder or in `frames/`. From SensReader (github.com/ScanNet/ScanNet): poses are
camera_to_world, 4x4, with x right, y down, z forward. Where tracking was lost they are all -inf;
such frames are left out.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from aceg_ros.datasets.base import Dataset, FrameCollector
from aceg_ros.datasets.images import image_size, list_images, read_depth
from aceg_ros.datasets.matrices import camera_of_matrix, read_intrinsics, read_pose
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.cameras import Camera

SIGNATURE = 'color/, pose/ and intrinsic/intrinsic_color.txt'

IMAGES, POSES, DEPTH, INTRINSICS = 'color', 'pose', 'depth', 'intrinsic'
DEPTH_UNITS_PER_METER = 1000.0


def recognize(path: Path) -> bool:
    """Whether `path` is a scan of this layout."""
    return _root(path) is not None


def read(path: Path, camera: Camera | None = None) -> Dataset:
    """Read a scan; `camera` replaces the color camera. Raises DatasetError or CameraError."""
    root = _root(path)
    if root is None:
        raise DatasetError(f'{path}: lacks {SIGNATURE}')
    images = list_images(root / IMAGES)
    intrinsics = root / INTRINSICS / 'intrinsic_color.txt'
    if camera is None:
        camera = camera_of_matrix(read_intrinsics(intrinsics), image_size(images[0]), intrinsics)
    depth_camera = _depth_camera(root)
    collector = FrameCollector()
    for image in images:
        depth = root / DEPTH / f'{image.stem}.png'
        has_depth = depth_camera is not None and depth.is_file()
        with collector.skipping(image.name):
            collector.add(
                image.name,
                image,
                camera,
                read_pose(root / POSES / f'{image.stem}.txt'),
                load_depth=partial(read_depth, depth, DEPTH_UNITS_PER_METER) if has_depth else None,
                depth_camera=depth_camera if has_depth else None,
            )
    return collector.dataset(path.resolve().name, metric=True)


def _root(path: Path) -> Path | None:
    for root in (path, path / 'frames'):
        folders = (root / IMAGES, root / POSES, root / INTRINSICS)
        if all(folder.is_dir() for folder in folders) and list_images(root / IMAGES):
            return root
    return None


def _depth_camera(root: Path) -> Camera | None:
    """Camera of the depth images, where there are such and their calibration."""
    file = root / INTRINSICS / 'intrinsic_depth.txt'
    depths = list_images(root / DEPTH) if (root / DEPTH).is_dir() else []
    if not depths or not file.is_file():
        return None
    return camera_of_matrix(read_intrinsics(file), image_size(depths[0]), file)
