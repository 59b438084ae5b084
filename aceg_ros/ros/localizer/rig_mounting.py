"""Where the cameras of a rig are on the body whose pose is given."""

from __future__ import annotations

from aceg_ros.errors import TransformError
from aceg_ros.geometry.poses import Array, inverse
from aceg_ros.ros.camera_input import CameraImage
from aceg_ros.ros.middleware.tf import Transforms


class RigMounting:
    """From TF, or from the file of a rig whose frame is the base.

    Cameras of a rig do not move on it: what TF says once holds.
    """

    def __init__(self, transforms: Transforms, base: str, from_file: Array | None = None) -> None:
        """``from_file``: base_from_cam (C, 4, 4) of optical frames, instead of TF."""
        self.in_file = from_file is not None
        self._transforms = transforms
        self._base = base
        self._from_file = from_file
        self._first = ''  # the optical frame of the first camera
        self._known: dict[int, Array] = {}

    def see(self, number: int, image: CameraImage) -> None:
        """An image of a camera came."""
        if number == 0:
            self._first = image.frame_id

    def body(self, of_camera: bool) -> str:
        """Frame whose pose is given: the base, or the first camera's; raises TransformError."""
        if not of_camera:
            return self._base
        if not self._first:
            raise TransformError(
                "poses are those of the rig's first camera, of which no image with a frame in its "
                'header came; set base_frame and tf_mode'
            )
        return self._first

    def rig_from_cam(
        self, number: int, image: CameraImage, of_camera: bool, timeout: float
    ) -> Array:
        """Where a camera is on `body`, (4, 4); waits up to ``timeout`` seconds for TF.

        Raises TransformError when nothing says so.
        """
        if number not in self._known:
            self._known[number] = self._find(number, image, of_camera, timeout)
        return self._known[number] @ inverse(image.camera_from_optical())

    def _find(self, number: int, image: CameraImage, of_camera: bool, timeout: float) -> Array:
        if self._from_file is not None:
            mount = self._from_file[number]
            return inverse(self._from_file[0]) @ mount if of_camera else mount
        body = self.body(of_camera)
        if not image.frame_id:
            raise TransformError('images name no frame in their header; have the driver do so')
        try:
            return self._transforms.lookup(body, image.frame_id, image.stamp, timeout)
        except TransformError as error:
            raise TransformError(
                f'how {image.frame_id} is mounted on {body} is not known: {error}; publish that '
                'transform, or set rig_file'
            ) from error
