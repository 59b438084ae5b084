"""Robust refinement of a camera pose on all matches, with its covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.poses import make_pose, project_rotation
from aceg_ros.pose.covariance import Linearized, image_blocks, pose_covariance
from aceg_ros.pose.mounting import Mounting
from aceg_ros.pose.reprojection import Reprojection, Residuals, moved, usable_rows

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MIN_INLIERS = 6
# Median length of a two-dimensional Gaussian with unit variance per axis (Rayleigh).
RAYLEIGH_MEDIAN = np.sqrt(2.0 * np.log(2.0))
# Width of the kernel and limit of an inlier, in robust standard deviations of the residuals.
KERNEL_WIDTH = 4.0
INLIER_LIMIT = 3.5
# The residuals' deviation is never taken to be less than this part of what was expected ...
MIN_SCALE = 0.05
# ... nor, in the covariance, to be less than this many pixels.
MIN_RESIDUAL_PX = 0.1
# Least mean slope of the weighted residuals, which a pose that is no minimum could make negative.
MIN_SLOPE = 0.1
# Standard deviation of the rotation in radians beyond which a linearized covariance says nothing.
MAX_ROTATION_STD = 1.0
# Narrowings of the kernel, and inlier sets tried, before the last is accepted as it is.
MAX_ROUNDS = 12
ROUND_STEPS = 3
MAX_STEPS = 30
# A step is too small to matter when the cost it promises to save is this part of the kernel's
# squared width: it is then about a hundredth of the pose's standard deviation.
CONVERGED = 1e-5
# A step is doubled while it saves more than so many times what it promised.
_MORE_THAN_PROMISED = 1.5
_TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class RefinedPose:
    """A pose fitted to its inliers.

    `covariance` is what the residuals show, where those of one block of the image err together. It
    orders x, y, z in meters, then rotations in radians about the world's axes: the true pose has
    its center at p + dp and the rotation exp(dtheta) R.
    """

    world_from_cam: Array  # (4, 4)
    covariance: Array  # (6, 6)
    inliers: Mask  # (N,)
    fit: Linearized  # of the inliers


def refine_pose(
    world_from_cam: Array,
    rays: Array,
    points3d: Array,
    sigma_px: Array,
    cameras: float | Mounting,
    threshold_px: float = 10.0,
    floor_px: float = 1.0,
    least_scale: Array | float = MIN_SCALE,
) -> RefinedPose | None:
    """Fit the pose to all matches, starting from one within about `threshold_px` of them.

    `rays` (N, 3) are unit bearings in the camera frame, `points3d` (N, 3) meters, `sigma_px` (N,)
    the deviation per axis expected of each residual in pixels, to which `floor_px` is added in
    squares; a factor common to all is measured from the residuals. `least_scale` (N,) is the least
    factor believed of each: 1 where the deviation is known. `cameras` is the focal length of
    one camera in pixels, or how several are mounted: the pose is then the rig's, as are the axes of
    its fit. Rows that are not finite are outliers. An inlier's residual is below `threshold_px` and
    in keeping with its sigma.

    The cost is Geman and McClure's s^2 / (1 + s^2 / c^2), whose width c shrinks from the threshold
    to what the residuals show (graduated non-convexity, Blake and Zisserman 1987), minimized by
    Levenberg and Marquardt's method on reweighted residuals. Should the result have a higher cost
    than `world_from_cam`, that pose is kept. None with fewer than 6 inliers or when they do not
    determine a pose.
    """
    usable = usable_rows(rays, points3d, sigma_px) & (sigma_px >= 0)
    if usable.sum() < MIN_INLIERS or not np.isfinite(world_from_cam).all():
        return None
    sigma = np.hypot(sigma_px[usable], floor_px)
    mounting = Mounting.of(cameras, len(rays)).rows(usable)
    problem = Reprojection(rays[usable], points3d[usable], mounting)
    start = make_pose(project_rotation(world_from_cam[:3, :3]), world_from_cam[:3, 3])
    least_scale = np.broadcast_to(least_scale, usable.shape)[usable]
    fit = fit_pose(start, problem, sigma, threshold_px, threshold_px, least_scale)
    if fit.inliers.sum() < MIN_INLIERS:
        return None
    linearized = _linearized(fit, problem, sigma)
    blocks = image_blocks(rays[usable][fit.inliers], mounting.camera[fit.inliers])
    local = pose_covariance(linearized, [blocks])
    if local is None or np.linalg.eigvalsh(local[3:, 3:])[-1] > MAX_ROTATION_STD**2:
        return None
    inliers = np.zeros(len(rays), dtype=bool)
    inliers[usable] = fit.inliers
    covariance = about_world_axes(local, fit.world_from_cam)
    return RefinedPose(fit.world_from_cam, covariance, inliers, linearized)


def about_world_axes(covariance: Array, world_from_cam: Array) -> Array:
    """A covariance (6, 6) of a step along, and a turn about, a camera's axes, in the world's."""
    turn = np.kron(np.eye(2), world_from_cam[:3, :3])
    return np.asarray(turn @ covariance @ turn.T)


@dataclass(frozen=True)
class RobustFit:
    """A pose, the width of the kernel it was fitted with and the matches in keeping with it."""

    world_from_cam: Array  # (4, 4)
    width: Array  # (N,) of each match's kernel, in expected deviations
    inliers: Mask  # (N,)


def fit_pose(
    start: Array,
    problem: Reprojection,
    sigma: Array,
    threshold_px: float,
    reach_px: float,
    least_scale: Array | float = MIN_SCALE,
) -> RobustFit:
    """Minimize the robust cost from `start`, where true matches are up to about `reach_px` off.

    `sigma` (N,) is the deviation expected of each residual in pixels, `least_scale` (N,) the least
    factor believed of it. Never raises the cost at the final width; without enough matches in reach
    that is `start` itself.
    """
    pose, inliers = start, np.zeros(len(sigma), dtype=bool)
    in_sigmas = problem.scaled(1.0 / sigma)
    least_scale = np.broadcast_to(least_scale, sigma.shape)
    width = np.maximum(reach_px / np.median(sigma), KERNEL_WIDTH * least_scale)
    settled = False
    for _ in range(MAX_ROUNDS):
        active = problem.errors(pose) < reach_px
        if active.sum() < MIN_INLIERS:
            break
        steps = MAX_STEPS if settled else ROUND_STEPS
        pose = _descend(pose, in_sigmas.subset(active), width[active], steps)
        before = inliers
        scale, inliers = _scale_and_inliers(problem.errors(pose), sigma, reach_px, least_scale)
        if settled and np.array_equal(before, inliers):
            break
        narrowest = KERNEL_WIDTH * scale
        settled = bool((width / 2.0 <= narrowest).all()) and reach_px / 2.0 <= threshold_px
        width = np.maximum(width / 2.0, narrowest)
        reach_px = max(reach_px / 2.0, threshold_px)

    costs = [
        robust_cost(problem.errors(candidate), sigma, width, threshold_px)
        for candidate in (start, pose)
    ]
    if costs[0] < costs[1]:
        pose = start
    _, inliers = _scale_and_inliers(problem.errors(pose), sigma, threshold_px, least_scale)
    return RobustFit(pose, width, inliers)


def robust_cost(errors_px: Array, sigma: Array, width: Array | float, threshold_px: float) -> float:
    """Sum of s^2 / (1 + s^2 / width^2), s = error / sigma; errors (N,) past the threshold saturate.

    Errors may be infinite. Each may have a width (N,) of its own.
    """
    return _cost(np.where(errors_px < threshold_px, (errors_px / sigma) ** 2, np.inf), width)


def _cost(squared: Array, width: Array | float) -> float:
    """`robust_cost` of squared lengths (N,) in expected deviations."""
    return float((width**2 * (1.0 - _kernel_root(squared, width))).sum())


def _kernel_root(squared: Array, width: Array | float) -> Array:
    """1 / (1 + s^2 / width^2) of squared lengths (N,); the weight of a residual is its square."""
    return 1.0 / (1.0 + squared / width**2)


def _scale_and_inliers(
    errors_px: Array, sigma: Array, threshold_px: float, least_scale: Array
) -> tuple[Array, Mask]:
    """Scale (N,) of the errors within the threshold, relative to sigma, and which are inliers."""
    near = errors_px < threshold_px
    if not near.any():
        return least_scale, near
    lengths = errors_px / sigma
    scale = np.maximum(np.median(lengths[near]) / RAYLEIGH_MEDIAN, least_scale)
    return scale, near & (lengths < INLIER_LIMIT * scale)


def _descend(pose: Array, problem: Reprojection, width: Array, max_steps: int) -> Array:
    """Levenberg-Marquardt steps on the robust cost, none of which raises it.

    Residuals of `problem` are in expected deviations, as is the `width` (N,) of their kernels. The
    normal matrix has the kernel's curvature along each residual (Triggs et al., "Bundle Adjustment:
    A Modern Synthesis", 2000, section 4.3), but never a negative one.
    """
    now, damping = _Step.at(pose, problem, width), 1e-4
    converged = CONVERGED * float(np.min(width)) ** 2
    for _ in range(max_steps):
        residuals, jacobian = now.residuals.plane, now.residuals.jacobian()
        squared = (residuals**2).sum(axis=0)
        root = _kernel_root(squared, width)
        weighted = (jacobian * root**2).reshape(6, -1)
        along = (jacobian * residuals).sum(axis=1)
        bend = root**2 * np.minimum(4.0 * root / width**2, 1.0 / np.maximum(squared, _TINY))
        normal = weighted @ jacobian.reshape(6, -1).T - (along * bend) @ along.T
        gradient = weighted @ residuals.reshape(-1)
        diagonal = np.diag(np.maximum(np.diag(normal), _TINY))
        while True:
            try:
                step = -np.linalg.solve(normal + damping * diagonal, gradient)
            except np.linalg.LinAlgError:
                return now.pose
            promised = -gradient @ step
            if not promised > converged:  # also stops at nan
                return now.pose
            candidate = _Step.at(moved(now.pose, step), problem, width)
            if candidate.cost < now.cost:
                break
            damping *= 10.0
        # The cost bends less than it seemed to.
        longer = bool(now.cost - candidate.cost > _MORE_THAN_PROMISED * promised)
        while longer:
            step = 2.0 * step
            farther = _Step.at(moved(now.pose, step), problem, width)
            longer = farther.cost < candidate.cost
            if longer:
                candidate = farther
        now, damping = candidate, max(damping / 10.0, 1e-9)
    return now.pose


@dataclass(frozen=True)
class _Step:
    """A pose on the way down."""

    pose: Array  # (4, 4)
    residuals: Residuals
    cost: float

    @classmethod
    def at(cls, pose: Array, problem: Reprojection, width: Array) -> _Step:
        residuals = problem.at(pose)
        return cls(pose, residuals, _cost(residuals.squared(), width))


def _linearized(fit: RobustFit, problem: Reprojection, sigma: Array) -> Linearized:
    """The fit at its solution."""
    sigma = sigma[fit.inliers]
    residuals, jacobian = problem.subset(fit.inliers).linearized(fit.world_from_cam)
    residuals, jacobian = residuals / sigma, jacobian / sigma
    root = _kernel_root((residuals**2).sum(axis=0), fit.width[fit.inliers])
    weights = root**2
    # Of the weighted residual w(s^2) s: w + s^2 dw/d(s^2), averaged over directions.
    slope = max(float(np.average(2.0 * root - 1.0, weights=weights)), MIN_SLOPE)
    min_variance = float(np.average((MIN_RESIDUAL_PX / sigma) ** 2, weights=weights))
    return Linearized(jacobian, residuals, weights, slope, min_variance)
