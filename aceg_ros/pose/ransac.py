"""A camera pose from 2D-3D matches of which most may be wrong.

PoseLib's LO-RANSAC, or OpenCV's MAGSAC where PoseLib is not installed. Both see a virtual pinhole
image filled from the viewing rays, so that every camera model is served by the same code.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import inverse, make_pose, project_rotation, so3_exp
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
    focal: float,
    threshold_px: float,
    prior: Array | None = None,
    seed: int = 0,
    max_iterations: int = MAX_ITERATIONS,
) -> tuple[Array, Mask] | None:
    """Find the pose most matches agree on: world_from_cam (4, 4) and inliers (N,), or None.

    `rays` (N, 3) are unit bearings in the camera frame, `points3d` (N, 3) meters; rows that are not
    finite are outliers. Inliers have a residual (see `reprojection`) below `threshold_px`. `prior`
    is a guess of world_from_cam. It is one more hypothesis, fitted to the matches near it. It is
    taken only if more matches agree with it than with the sampled poses. None when fewer than 6
    matches agree. At most `max_iterations` samples are tried. The same input and `seed` give the
    same result.
    """
    usable = usable_rows(rays, points3d)
    if usable.sum() < MIN_INLIERS:
        return None
    count = len(rays)
    rays, points3d = rays[usable].astype(np.float64), points3d[usable].astype(np.float64)
    problem = Reprojection(rays, points3d, focal)
    hypotheses = []
    ahead = rays[:, 2] > MIN_RAY_Z
    if ahead.sum() >= MIN_INLIERS:
        plane = focal * rays[ahead, :2] / rays[ahead, 2:]
        find = _find_with_opencv if poselib is None else _find_with_poselib
        cam_from_world = find(plane, points3d[ahead], focal, threshold_px, seed, max_iterations)
        if cam_from_world is not None and np.isfinite(cam_from_world).all():
            hypotheses.append(inverse(cam_from_world))
    if prior is not None and np.isfinite(prior).all():
        start = make_pose(project_rotation(prior[:3, :3]), prior[:3, 3])
        reach = PRIOR_REACH * threshold_px
        sigma = np.ones(len(rays))
        hypotheses.append(fit_pose(start, problem, sigma, threshold_px, reach).world_from_cam)
    if not hypotheses:
        return None

    errors = [problem.errors(pose) for pose in hypotheses]
    # MSAC's score (Torr and Zisserman 2000), on which a tie goes to what sampling found.
    best = int(np.argmin([(np.minimum(e, threshold_px) ** 2).sum() for e in errors]))
    inliers = np.zeros(count, dtype=bool)
    inliers[usable] = errors[best] < threshold_px
    if inliers.sum() < MIN_INLIERS:
        return None
    return hypotheses[best], inliers


def _find_with_poselib(
    plane: Array,
    points3d: Array,
    focal: float,
    threshold_px: float,
    seed: int,
    max_iterations: int,
) -> Array | None:
    """cam_from_world (4, 4) from pixels (N, 2) of the virtual image."""
    pose, _ = poselib.estimate_absolute_pose(
        plane,
        points3d,
        {'model': 'SIMPLE_PINHOLE', 'width': 1, 'height': 1, 'params': [focal, 0.0, 0.0]},
        {
            'max_reproj_error': threshold_px,
            'min_iterations': min(MIN_ITERATIONS, max_iterations),
            'max_iterations': max_iterations,
            'success_prob': CONFIDENCE,
            'seed': seed,
        },
    )
    return make_pose(pose.R, pose.t)


def _find_with_opencv(
    plane: Array,
    points3d: Array,
    focal: float,
    threshold_px: float,
    seed: int,
    max_iterations: int,
) -> Array | None:
    """cam_from_world (4, 4) from pixels (N, 2) of the virtual image."""
    params = cv2.UsacParams()
    params.score = cv2.SCORE_METHOD_MAGSAC
    params.loMethod = cv2.LOCAL_OPTIM_SIGMA
    params.sampler = cv2.SAMPLING_UNIFORM
    params.threshold = threshold_px
    params.maxIterations = max_iterations
    params.confidence = CONFIDENCE
    params.randomGeneratorState = seed
    params.isParallel = False
    K = np.diag([focal, focal, 1.0])
    try:
        found, _, rotation_vector, translation, _ = cv2.solvePnPRansac(
            points3d[:, None], plane[:, None], K, np.zeros(4), params=params
        )
    except cv2.error:  # raised for some degenerate samples
        return None
    if not found:
        return None
    return make_pose(so3_exp(rotation_vector[:, 0]), translation[:, 0])
