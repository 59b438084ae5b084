"""What every dataset reader gives: frames with a camera, lazily read images and known poses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aceg_ros.datasets.images import image_header, read_image, turned
from aceg_ros.datasets.names import is_file
from aceg_ros.datasets.plausibility import check_calibration
from aceg_ros.errors import AcegError, CameraError, DatasetError, ImageError, PoseError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.depth import register_depth
from aceg_ros.geometry.poses import validate_pose


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a dataset; nothing is decoded before `image` or `depth` is called.

    `stamp` is in seconds. Without times it is the frame's position in the dataset.
    """

    name: str  # unique in its dataset
    camera: Camera
    load_image: Callable[[], NDArray[np.uint8]]
    world_from_cam: NDArray[np.float64] | None = None  # (4, 4); None without a pose
    stamp: float = 0.0
    load_depth: Callable[[], NDArray[np.float32]] | None = None
    depth_camera: Camera | None = None  # None: depth is registered to the color image
    color_from_depth: NDArray[np.float64] | None = None  # (4, 4); None: both cameras in one place
    splits: tuple[str, ...] = ()

    def image(self) -> NDArray[np.uint8]:
        """Read the image, RGB (H, W, 3) uint8; raises ImageError when it cannot be decoded."""
        image = self.load_image()
        _check_size(self.name, image.shape, self.camera)
        return image

    def pose(self) -> NDArray[np.float64]:
        """`world_from_cam` (4, 4); raises PoseError where there is none, or no rigid motion."""
        if self.world_from_cam is None:
            raise PoseError('has no pose')
        return validate_pose(self.world_from_cam)

    def depth(self) -> NDArray[np.float32] | None:
        """Read depth along z in meters, (H, W) float32, 0 where unknown; None without depth.

        Pixels are those of `depth_camera`, or of `camera` when that is None. Raises ImageError when
        the file cannot be decoded or has another size than its camera.
        """
        if self.load_depth is None:
            return None
        depth = self.load_depth()
        _check_size(f'{self.name}, depth', depth.shape, self.depth_camera or self.camera)
        return depth

    def registered_depth(self) -> NDArray[np.float32] | None:
        """Depth as the color camera sees it, pixel by pixel; otherwise as `depth`."""
        depth = self.depth()
        if depth is None or self.depth_camera is None:
            return depth
        return register_depth(depth, self.depth_camera, self.camera, self.color_from_depth)


@dataclass
class Dataset:
    """Frames in order of time, or of name if there are no times."""

    name: str
    frames: list[Frame]
    metric: bool  # whether poses are in meters
    skipped: list[str] = field(default_factory=list)  # frames left out: 'name: reason'
    notes: list[str] = field(default_factory=list)  # assumptions that were made, as sentences

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def splits(self) -> list[str]:
        """Names that `select` accepts as split, sorted."""
        return sorted({split for frame in self.frames for split in frame.splits})

    def select(
        self,
        split: str | None = None,
        start: int | None = None,
        stop: int | None = None,
        every: int = 1,
    ) -> Dataset:
        """Keep every n-th frame of the range [start, stop) of `split`.

        Raises DatasetError for an unknown split, `every` below 1, or when no frame remains.
        """
        if every < 1:
            raise DatasetError(f'every n-th frame was asked for with n = {every}; give 1 or more')
        frames = self.frames
        if split is not None:
            frames = [frame for frame in frames if split in frame.splits]
            if not frames:
                known = ', '.join(self.splits) or 'none'
                raise DatasetError(f'{self.name} has no split {split!r}; it has: {known}')
        selected = frames[start:stop:every]
        if not selected:
            raise DatasetError(
                f'no frame of {self.name} lies in the range {start} to {stop}: '
                f'there are {len(frames)} to choose from'
            )
        return replace(self, frames=selected, skipped=list(self.skipped), notes=list(self.notes))


class FrameCollector:
    """Gathers frames for a reader and sets aside, by name, those that cannot be used."""

    def __init__(self, exif: bool = False) -> None:
        """Begin without frames; `exif` turns images as their EXIF orientation says."""
        self._exif = exif
        self._turned: list[str] = []  # images with an EXIF orientation that is not applied
        self._frames: list[Frame] = []
        self._names: set[str] = set()
        self._skipped: list[str] = []
        self._notes: list[str] = []

    def __len__(self) -> int:
        return len(self._frames)

    def skip(self, name: str, reason: str) -> None:
        """Note that `name` is left out and why."""
        self._skipped.append(f'{name}: {reason}')

    def note(self, sentence: str) -> None:
        """Have the user told of something that was taken for granted."""
        self._notes.append(sentence)

    @contextmanager
    def skipping(self, name: str) -> Iterator[None]:
        """Leave `name` out when the block raises one of the package's errors."""
        try:
            yield
        except AcegError as error:
            self.skip(name, str(error))

    def add(
        self,
        name: str,
        image_path: Path,
        camera: Camera,
        world_from_cam: ArrayLike | None,
        *,
        stamp: float | None = None,
        load_depth: Callable[[], NDArray[np.float32]] | None = None,
        depth_camera: Camera | None = None,
        color_from_depth: NDArray[np.float64] | None = None,
        splits: tuple[str, ...] = (),
    ) -> None:
        """Add a frame after checking its pose and its image's header.

        Without `stamp` the frame's position is its stamp. Raises PoseError, ImageError, CameraError
        (image of another size than calibrated) or DatasetError (name used before).
        """
        if not is_file(image_path):
            raise ImageError('the image file is missing')
        check_calibration(camera)
        size, turn = image_header(image_path)
        if self._exif:
            size = turned(size, turn)
        elif turn:
            self._turned.append(name)
        if size != (camera.width, camera.height):
            raise CameraError(
                f'image is {size[0]}x{size[1]} but the calibration is for '
                f'{camera.width}x{camera.height}; {self._remedy_of_size(turn, size, camera)}'
            )
        if turn and self._exif and load_depth is not None:
            raise ImageError('its depth image would have to be turned with it; read without --exif')
        self.add_frame(
            Frame(
                name=name,
                camera=camera,
                load_image=partial(read_image, image_path, self._exif),
                world_from_cam=None if world_from_cam is None else validate_pose(world_from_cam),
                stamp=float(len(self._frames)) if stamp is None else stamp,
                load_depth=load_depth,
                depth_camera=depth_camera,
                color_from_depth=color_from_depth,
                splits=splits,
            )
        )

    def add_frame(self, frame: Frame) -> None:
        """Add a frame as it is; raises DatasetError when its name was used before."""
        if frame.name in self._names:
            raise DatasetError('another frame has the same name')
        self._names.add(frame.name)
        self._frames.append(frame)

    def _remedy_of_size(self, turn: int, size: tuple[int, int], camera: Camera) -> str:
        """What to do about an image of another size than calibrated."""
        across = size == (camera.height, camera.width)
        if turn and across and not self._exif:
            return f'it has an EXIF orientation ({turn}) that is not applied: give --exif'
        if turn and across:
            return f'its EXIF orientation ({turn}) was applied: read without --exif'
        if across:
            return 'give the calibration of images that lie on the same side'
        return 'give the calibration of this image size'

    def dataset(self, name: str, *, metric: bool) -> Dataset:
        """Give the dataset; raises DatasetError when no frame is left."""
        if self._turned:
            self.note(
                f'{len(self._turned)} images, such as {self._turned[0]}, have an EXIF orientation '
                'that is not applied; if the calibration, and the poses, are of upright pictures, '
                'give --exif'
            )
        if not self._frames:
            examples = ''.join(f'\n  {entry}' for entry in [*self._skipped[:3], *self._notes])
            raise DatasetError(
                f'{name} has no usable frame; {len(self._skipped)} left out{examples}'
            )
        return Dataset(name, self._frames, metric, self._skipped, self._notes)


def _check_size(name: str, shape: tuple[int, ...], camera: Camera) -> None:
    if shape[:2] != (camera.height, camera.width):
        raise ImageError(
            f'{name}: image is {shape[1]}x{shape[0]}, its camera {camera.width}x{camera.height}; '
            'give the calibration of this image size'
        )
