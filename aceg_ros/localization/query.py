"""The images that one pose is asked for: of one camera, or of those of a rig that have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aceg_ros.errors import ImageError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.rigs import Rig
from aceg_ros.localization.result import Localization, LocalizationFailure


@dataclass(frozen=True)
class Query:
    """N images of cameras of a rig."""

    index: np.ndarray  # (N,) which of the rig's cameras
    images: tuple[np.ndarray, ...]  # RGB (H, W, 3) uint8
    depths: tuple[np.ndarray | None, ...]  # (H, W) meters along z, 0 where unknown
    cameras: tuple[Camera, ...]
    rig_from_cam: np.ndarray  # (N, 4, 4), of each camera when its image was taken

    @classmethod
    def of(
        cls,
        images: Sequence[np.ndarray | None],
        rig: Rig,
        now_from_then: Sequence[np.ndarray] | None = None,
        depths: Sequence[np.ndarray | None] | None = None,
    ) -> Query:
        """See `Localizer.localize_rig`, also for what is raised."""
        given = [index for index, image in enumerate(images) if image is not None]
        depths = [None] * len(images) if depths is None else depths
        if len(depths) != len(images):
            raise ImageError(
                f'{len(depths)} depth images of {len(images)} cameras: give one for each, or None'
            )
        if len(images) != len(rig.cameras) or not given:
            raise ImageError(
                f'{len(given)} images of {len(images)} cameras were given for a rig of '
                f'{len(rig.cameras)}: give one for each camera, or None, and one image at least'
            )
        mounts = np.array(rig.rig_from_cam)
        if now_from_then is not None:
            mounts = np.array(now_from_then) @ mounts
        return cls(
            np.array(given),
            tuple(image for image in images if image is not None),
            tuple(depths[index] for index in given),
            tuple(rig.cameras[index] for index in given),
            mounts[given],
        )

    def named(
        self, answer: Localization | LocalizationFailure
    ) -> Localization | LocalizationFailure:
        """An answer to these images, with the rig's numbers of their cameras."""
        if isinstance(answer, Localization) and answer.cameras is not None:
            return replace(answer, cameras=self.index[answer.cameras])
        return answer
