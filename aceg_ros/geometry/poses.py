"""Rigid transforms as 4x4 float64 matrices.

A matrix is named destination_from_source: `cam_from_world` maps world points into the camera.
Translations are meters, rotation vectors radians, quaternions (x, y, z, w). Functions that take
matrices accept leading batch dimensions unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from aceg_ros.errors import PoseError

Array = NDArray[np.float64]

# Written poses are rounded, so rotations a little off are corrected; more than this is no rotation.
MAX_ROTATION_DEFECT = 1e-2
MAX_QUATERNION_NORM_DEFECT = 0.1


def inverse(pose: Array) -> Array:
    """Invert rigid transforms (..., 4, 4): a_from_b becomes b_from_a."""
    result = np.zeros_like(pose)
    rotation_t = np.swapaxes(pose[..., :3, :3], -1, -2)
    result[..., :3, :3] = rotation_t
    result[..., :3, 3] = -np.einsum('...ij,...j->...i', rotation_t, pose[..., :3, 3])
    result[..., 3, 3] = 1.0
    return result


def compose(*poses: Array) -> Array:
    """Chain transforms: `compose(a_from_b, b_from_c)` is a_from_c (..., 4, 4)."""
    result = np.eye(4)
    for pose in poses:
        result = result @ pose
    return result


def transform_points(b_from_a: Array, points: Array) -> Array:
    """Map points (N, 3) given in frame a into frame b with one transform (4, 4)."""
    return points @ b_from_a[:3, :3].T + b_from_a[:3, 3]


def shifted(poses: Array, offset: ArrayLike) -> Array:
    """Move transforms (..., 4, 4) by an offset (3,) along the axes of their destination."""
    result = np.array(poses, dtype=np.float64)
    result[..., :3, 3] += np.asarray(offset, dtype=np.float64)
    return result


def make_pose(rotation: Array, translation: ArrayLike) -> Array:
    """Put a rotation (..., 3, 3) and a translation (..., 3) into transforms (..., 4, 4)."""
    pose = np.zeros((*rotation.shape[:-2], 4, 4))
    pose[..., :3, :3] = rotation
    pose[..., :3, 3] = translation
    pose[..., 3, 3] = 1.0
    return pose


def project_rotation(matrix: Array) -> Array:
    """Return the proper rotations (..., 3, 3) nearest to `matrix` in the Frobenius norm (SVD)."""
    u, _, vt = np.linalg.svd(matrix)
    signs = np.ones(matrix.shape[:-1])
    signs[..., 2] = np.sign(np.linalg.det(u @ vt))
    return (u * signs[..., None, :]) @ vt


def validate_pose(pose: ArrayLike) -> Array:
    """Return one pose (4, 4) as float64 with its rotation projected onto the rotations.

    Raises PoseError when it is not 4x4, not finite, or not rigid (rotation off by more than 1e-2,
    last row not 0 0 0 1).
    """
    try:
        matrix = np.array(pose, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PoseError('pose is no matrix of numbers; give 4 rows of 4 numbers') from error
    if matrix.shape != (4, 4):
        raise PoseError(f'pose has shape {matrix.shape}; give a 4x4 matrix')
    if not np.isfinite(matrix).all():
        raise PoseError('pose has nan or infinite entries; leave this frame out')
    if np.abs(matrix[3] - (0.0, 0.0, 0.0, 1.0)).max() > MAX_ROTATION_DEFECT:
        raise PoseError('last row of the pose is not 0 0 0 1; is the matrix transposed?')
    # No entry of a rotation is larger than 1; the SVD of huge ones does not converge.
    largest = float(np.abs(matrix[:3, :3]).max())
    rotation = project_rotation(matrix[:3, :3]) if largest < 2.0 else np.eye(3)
    defect = max(float(np.abs(rotation - matrix[:3, :3]).max()), largest - 1.0)
    if defect > MAX_ROTATION_DEFECT:
        raise PoseError(
            f'upper 3x3 of the pose is {defect:.2g} off a rotation; it may hold a scale or a mirror'
        )
    return make_pose(rotation, matrix[:3, 3])


def rotation_angle_deg(rotation_a: Array, rotation_b: Array) -> Array:
    """Angle between rotations (..., 3, 3) in degrees, 0 to 180, shape (...).

    Both are projected first, so rounded matrices neither give nan nor an angle to themselves. From
    |A - B|_F = 2 sqrt(2) sin(angle / 2), which stays exact at small angles where arccos does not.
    """
    difference = project_rotation(rotation_a) - project_rotation(rotation_b)
    chord = np.linalg.norm(difference, axis=(-2, -1)) / np.sqrt(8.0)
    return np.rad2deg(2.0 * np.arcsin(np.minimum(chord, 1.0)))


def pose_error(world_from_cam_a: Array, world_from_cam_b: Array) -> tuple[Array, Array]:
    """Distance of the camera centers in meters and angle in degrees, each of shape (...)."""
    offset = world_from_cam_a[..., :3, 3] - world_from_cam_b[..., :3, 3]
    angle = rotation_angle_deg(world_from_cam_a[..., :3, :3], world_from_cam_b[..., :3, :3])
    return np.linalg.norm(offset, axis=-1), angle


def unit_quaternion(xyzw: ArrayLike) -> Array:
    """One quaternion (4,) scaled to norm 1.

    Raises PoseError when it is not four finite numbers of norm 1 within 10 %.
    """
    quaternion = np.asarray(xyzw, dtype=np.float64)
    if quaternion.shape != (4,) or not np.isfinite(quaternion).all():
        raise PoseError('quaternion is not four finite numbers (x, y, z, w)')
    norm = float(np.linalg.norm(quaternion))
    if abs(norm - 1.0) > MAX_QUATERNION_NORM_DEFECT:
        raise PoseError(f'quaternion has norm {norm:.3g}, not 1; is the order of columns right?')
    return quaternion / norm


def rotation_from_quaternion(xyzw: ArrayLike) -> Array:
    """Rotation matrix (3, 3) of one quaternion (x, y, z, w); PoseError as `unit_quaternion`."""
    return Rotation.from_quat(unit_quaternion(xyzw)).as_matrix()


def quaternion_from_rotation(rotation: Array) -> Array:
    """Quaternion (x, y, z, w) with w >= 0 of one rotation (3, 3), which is projected first."""
    xyzw = Rotation.from_matrix(project_rotation(rotation)).as_quat()
    return -xyzw if xyzw[3] < 0 else xyzw


def so3_exp(rotation_vector: ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3) of axis times angle (..., 3) in radians."""
    vector = np.asarray(rotation_vector, dtype=np.float64)
    if vector.shape == (3,):
        # SciPy takes some 20 times as long for a single one, and refinement asks for hundreds.
        return np.asarray(cv2.Rodrigues(vector)[0])
    return Rotation.from_rotvec(vector).as_matrix()


def so3_log(rotation: Array) -> Array:
    """Axis times angle in radians, norm 0 to pi, of rotations that are projected first.

    Of one (3, 3) it is (3,), of N it is (N, 3).
    """
    return Rotation.from_matrix(project_rotation(rotation)).as_rotvec()


def skew(vector: ArrayLike) -> Array:
    """Matrix (3, 3) with `skew(a) @ b == cross(a, b)`."""
    x, y, z = np.asarray(vector, dtype=np.float64)
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def nearest_pose(poses: Array, pose: Array, unit: float) -> tuple[int, float, float]:
    """Which of `poses` (K, 4, 4) is most like `pose` (4, 4), how far off and how much turned.

    The distance is in units of `unit`, the angle in radians; the sum of both is the least.
    """
    distance = np.linalg.norm(poses[:, :3, 3] - pose[:3, 3], axis=1) / max(unit, 1e-9)
    traces = np.einsum('kij,ij->k', poses[:, :3, :3], pose[:3, :3])
    angle = np.arccos(np.clip((traces - 1) / 2, -1, 1))
    best = int((distance + angle).argmin())
    return best, float(distance[best]), float(angle[best])


def se3_exp(twist: ArrayLike) -> Array:
    """Transform (4, 4) of a twist (6,): translation part x, y, z first, then rotation rx, ry, rz.

    The exact exponential of SE(3), translation V(rotation) @ twist[:3] with V the left Jacobian of
    SO(3); for a plain pair of rotation and translation use `make_pose(so3_exp(r), t)`.
    """
    vector = np.asarray(twist, dtype=np.float64)
    angle = float(np.linalg.norm(vector[3:]))
    cross = skew(vector[3:])
    if angle < 1e-4:
        # Series to the order float64 can hold; the closed form divides by the angle.
        first, second = 0.5 - angle**2 / 24.0, 1.0 / 6.0 - angle**2 / 120.0
    else:
        first = (1.0 - np.cos(angle)) / angle**2
        second = (angle - np.sin(angle)) / angle**3
    left_jacobian = np.eye(3) + first * cross + second * cross @ cross
    return make_pose(so3_exp(vector[3:]), left_jacobian @ vector[:3])


def pose_from_tum(values: Sequence[float] | Array) -> Array:
    """Transform (4, 4) of the seven numbers tx ty tz qx qy qz qw of a TUM trajectory line.

    Raises PoseError for another count, non-finite numbers, or a quaternion far from unit norm.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (7,):
        raise PoseError(f'a TUM pose has 7 numbers (tx ty tz qx qy qz qw), not {numbers.size}')
    if not np.isfinite(numbers).all():
        raise PoseError('TUM pose has nan or infinite numbers; leave this frame out')
    return make_pose(rotation_from_quaternion(numbers[3:]), numbers[:3])


def pose_to_tum(pose: Array) -> Array:
    """Numbers tx ty tz qx qy qz qw (7,) of one transform (4, 4)."""
    return np.concatenate([pose[:3, 3], quaternion_from_rotation(pose[:3, :3])])


def interpolate(pose_0: Array, pose_1: Array, alpha: float) -> Array:
    """Transform (4, 4) at `alpha` (0: `pose_0`, 1: `pose_1`): straight line and slerp."""
    relative = so3_log(project_rotation(pose_0[:3, :3]).T @ pose_1[:3, :3])
    rotation = project_rotation(pose_0[:3, :3]) @ so3_exp(alpha * relative)
    return make_pose(rotation, (1.0 - alpha) * pose_0[:3, 3] + alpha * pose_1[:3, 3])
