"""Quaternions and Euler angles of messages to rotation matrices and back.

By tf_transformations, where ROS has it, else by transforms3d, over which that is a thin layer: so
both give the same numbers. Neither refuses what is no rotation, nor corrects a rounded matrix.
Checks and correction are those of `aceg_ros.geometry.poses`, whose own rotations are SciPy's: they
come in batches.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from aceg_ros.errors import AcegError
from aceg_ros.geometry.poses import Array, make_pose, project_rotation, unit_quaternion

try:
    import transforms3d
except AttributeError as error:
    raise AcegError(
        'this transforms3d asks NumPy for what it no longer has: pip install '
        f"'transforms3d>=0.4.2' ({error})"
    ) from error
try:
    import tf_transformations
except ImportError:
    tf_transformations = None


def rotation_from_quaternion(xyzw: ArrayLike) -> Array:
    """Rotation matrix (3, 3) of a quaternion (x, y, z, w), which is normalized.

    Raises PoseError when it is not four finite numbers of norm 1 within 10 %.
    """
    x, y, z, w = unit_quaternion(xyzw)
    if tf_transformations is not None:
        rotation: Array = tf_transformations.quaternion_matrix([x, y, z, w])[:3, :3]
        return rotation
    return transforms3d.quaternions.quat2mat([w, x, y, z])


def quaternion_from_rotation(rotation: Array) -> tuple[float, float, float, float]:
    """Quaternion (x, y, z, w) with w >= 0 of a rotation (3, 3), which is projected first."""
    projected = project_rotation(rotation)
    if tf_transformations is not None:
        x, y, z, w = tf_transformations.quaternion_from_matrix(make_pose(projected, (0, 0, 0)))
    else:
        w, x, y, z = transforms3d.quaternions.mat2quat(projected)
    return float(x), float(y), float(z), float(w)


def rotation_from_euler(roll: float, pitch: float, yaw: float) -> Array:
    """Rotation (3, 3) about the fixed axes x, y and z in turn, in radians (REP 103)."""
    if tf_transformations is not None:
        rotation: Array = tf_transformations.euler_matrix(roll, pitch, yaw)[:3, :3]
        return rotation
    return transforms3d.euler.euler2mat(roll, pitch, yaw)
