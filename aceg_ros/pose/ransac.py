"""The pose of a camera, or of a rig, from 2D-3D matches of which most may be wrong.

PoseLib's LO-RANSAC, or OpenCV's MAGSAC where PoseLib is not installed. Both see a virtual pinhole
image filled from the viewing rays, so that every camera model is served by the same code.

Of a rig the matches of all cameras are sampled together (generalized absolute pose), and those of
each camera alone: where one camera of several knows the place, most samples of all are wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import inverse, make_pose, project_rotation, so3_exp
from aceg_ros.pose.mounting import Mounting
from aceg_ros.pose.refine import MIN_INLIERS, fit_pose
from aceg_ros.pose.reprojection import Reprojection, usable_rows

# PoseLib has no wheel for every platform (aarch64); without its core it raises RuntimeError.
try:
    import poselib
except (ImportError, RuntimeError):
    poselib = None

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# The virtual image cannot hold rays at right angles to its axis; those beyond 80 degrees are left
# out of the sampling and join again in counting the inliers.
MIN_RAY_Z = np.cos(np.deg2rad(80.0))
MAX_ITERATIONS = 10_000
MIN_ITERATIONS = 200
CONFIDENCE = 0.9999
# A prior may show the matches this many thresholds away from where they are.
PRIOR_REACH = 10.0


def ransac_pose(
    rays: Array,
    points3d: Array,
    cameras: float | Mounting,
    threshold_px: float,
    prior: Array | None = None,
    seed: int = 0,
    max_iterations: int = MAX_ITERATIONS,
) -> tuple[Array, Mask] | None:
    """The first of `ransac_poses`, None when there is none."""
    found = ransac_poses(rays, points3d, cameras, threshold_px, prior, seed, max_iterations)
    return found[0] if found else None


def ransac_poses(
    rays: Array,
    points3d: Array,
    cameras: float | Mounting,
    threshold_px: float,
    prior: Array | None = None,
    seed: int = 0,
    max_iterations: int = MAX_ITERATIONS,
) -> list[tuple[Array, Mask]]:
    """Poses that matches agree on, world_from_cam (4, 4) and inliers (N,) each, the best first.

    `rays` (N, 3) are unit bearings in the camera frame, `points3d` (N, 3) meters; rows that are not
    finite are outliers. `cameras` is the focal length of one camera in pixels, or how several are
    mounted: poses are then the rig's. OpenCV samples each camera of a rig by itself only. Inliers
    have a residual (see `reprojection`) below `threshold_px`. `prior` is a guess of world_from_cam.
    It is one more hypothesis, fitted to the matches near it. It comes first only if more matches
    agree with it than with the sampled poses. Poses that fewer than 6 matches agree with are left
    out. At most `max_iterations` samples are tried. The same input and `seed` give the same result.
    """
    usable = usable_rows(rays, points3d)
    if usable.sum() < MIN_INLIERS:
        return []
    count = len(rays)
    rays, points3d = rays[usable].astype(np.float64), points3d[usable].astype(np.float64)
    mounting = Mounting.of(cameras, count).rows(usable)
    problem = Reprojection(rays, points3d, mounting)
    sampling = _Sampling(threshold_px, seed, max_iterations)
    hypotheses = _sampled(rays, points3d, mounting, sampling)
    if prior is not None and np.isfinite(prior).all():
        start = make_pose(project_rotation(prior[:3, :3]), prior[:3, 3])
        reach = PRIOR_REACH * threshold_px
        sigma = np.ones(len(rays))
        hypotheses.append(fit_pose(start, problem, sigma, threshold_px, reach).world_from_cam)
    errors = [problem.errors(pose) for pose in hypotheses]
    # MSAC's score (Torr and Zisserman 2000), on which a tie goes to what sampling found.
    score = [(np.minimum(e, threshold_px) ** 2).sum() for e in errors]
    found = []
    for index in np.argsort(score, kind='stable'):
        inliers = np.zeros(count, dtype=bool)
        inliers[usable] = errors[index] < threshold_px
        if inliers.sum() >= MIN_INLIERS:
            found.append((hypotheses[index], inliers))
    return found


@dataclass(frozen=True)
class _Sampling:
    """How to sample."""

    threshold_px: float
    seed: int
    max_iterations: int

    def for_poselib(self) -> dict[str, float | int]:
        """As PoseLib takes it."""
        return {
            'max_reproj_error': self.threshold_px,
            'min_iterations': min(MIN_ITERATIONS, self.max_iterations),
            'max_iterations': self.max_iterations,
            'success_prob': CONFIDENCE,
            'seed': self.seed,
        }


@dataclass(frozen=True)
class _VirtualImage:
    """What one camera of a rig sees, as a pinhole camera would."""

    points2d: Array  # (N, 2) px from the principal point
    points3d: Array  # (N, 3) meters
    focal: float  # px
    rig_from_cam: Array  # (4, 4)

    def for_poselib(self) -> dict[str, object]:
        """The camera as PoseLib takes it."""
        return {
            'model': 'SIMPLE_PINHOLE',
            'width': 1,
            'height': 1,
            'params': [self.focal, 0.0, 0.0],
        }


def _sampled(rays: Array, points3d: Array, mounting: Mounting, sampling: _Sampling) -> list[Array]:
    """Poses world_from_rig (4, 4), the best of each way to sample."""
    ahead = rays[:, 2] > MIN_RAY_Z
    images = []
    for index, focal in enumerate(mounting.focal.tolist()):
        chosen = ahead & (mounting.camera == index)
        if chosen.sum() >= MIN_INLIERS:
            plane = focal * rays[chosen, :2] / rays[chosen, 2:]
            rig_from_cam = mounting.rig_from_cam[index]
            images.append(_VirtualImage(plane, points3d[chosen], focal, rig_from_cam))
    find = _find_with_opencv if poselib is None else _find_with_poselib
    found: list[Array] = []
    for image in images:
        cam_from_world = find(image, sampling)
        if cam_from_world is not None:
            found.append(inverse(cam_from_world) @ inverse(image.rig_from_cam))
    if len(images) > 1 and poselib is not None:
        found.append(inverse(_find_rig_with_poselib(images, sampling)))
    return [pose for pose in found if np.isfinite(pose).all()]


def _find_with_poselib(image: _VirtualImage, sampling: _Sampling) -> Array | None:
    """cam_from_world (4, 4)."""
    pose, _ = poselib.estimate_absolute_pose(
        image.points2d, image.points3d, image.for_poselib(), sampling.for_poselib()
    )
    return make_pose(pose.R, pose.t)


def _find_rig_with_poselib(images: Sequence[_VirtualImage], sampling: _Sampling) -> Array:
    """rig_from_world (4, 4)."""
    places = []
    for image in images:
        cam_from_rig = inverse(image.rig_from_cam)
        place = poselib.CameraPose()
        place.R, place.t = cam_from_rig[:3, :3], cam_from_rig[:3, 3]
        places.append(place)
    pose, _ = poselib.estimate_generalized_absolute_pose(
        [image.points2d for image in images],
        [image.points3d for image in images],
        places,
        [image.for_poselib() for image in images],
        sampling.for_poselib(),
    )
    return make_pose(pose.R, pose.t)


def _find_with_opencv(image: _VirtualImage, sampling: _Sampling) -> Array | None:
    """cam_from_world (4, 4)."""
    params = cv2.UsacParams()
    params.score = cv2.SCORE_METHOD_MAGSAC
    params.loMethod = cv2.LOCAL_OPTIM_SIGMA
    params.sampler = cv2.SAMPLING_UNIFORM
    params.threshold = sampling.threshold_px
    params.maxIterations = sampling.max_iterations
    params.confidence = CONFIDENCE
    params.randomGeneratorState = sampling.seed
    params.isParallel = False
    K = np.diag([image.focal, image.focal, 1.0])
    try:
        found, _, rotation_vector, translation, _ = cv2.solvePnPRansac(
            image.points3d[:, None], image.points2d[:, None], K, np.zeros(4), params=params
        )
    except cv2.error:  # raised for some degenerate samples
        return None
    if not found:
        return None
    return make_pose(so3_exp(rotation_vector[:, 0]), translation[:, 0])
