"""Uncertainty of a pose whose measurements' errors are correlated.

Neighboring patches read the same parts of the map, so they err together and N of them weigh less
than N independent ones. Points that were placed from one mapping image err together as well, by
the error of that image's pose. How much less they weigh is measured, not assumed. The matches are
grouped, and the covariance is the jackknife over groups. It is the cluster-robust "sandwich" of
Liang and Zeger (Biometrika 1986), in its leave-one-cluster-out form CR3 (Bell and McCaffrey, Survey
Methodology 2002). Errors need only be uncorrelated between groups, not within one. What several
groupings add to independent errors is summed (multiway clustering, Cameron, Gelbach and Miller,
Journal of Business and Economic Statistics 2011).

Errors that a whole view shares do not show in its residuals. `shared_errors` gives what known ones
do to the pose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Blocks per side of the measured part of the image. Larger blocks hold longer correlations, more
# blocks make a steadier estimate. In simulation 4 keeps the normalized error squared between 5 and
# 10 (6 is perfect) for errors correlated over nothing up to a sixteenth of the image's width.
GRID = 4
# Reciprocal condition of the normal matrix, freed of units, below which the pose is undetermined.
MIN_CONDITION = 1e-12
# Least part of the information about a direction that is taken to remain without any one block.
MIN_REMAINDER = 0.1


@dataclass(frozen=True)
class Linearized:
    """A robust least squares fit at its solution, of M measurements.

    Residuals and their Jacobian are in units of the deviation expected of each measurement. The
    parameters are a step of the camera along its own axes, in meters, then a turn about them, in
    radians.
    """

    jacobian: Array  # (6, 2, M) of the residuals by the parameters
    residuals: Array  # (2, M)
    weights: Array  # (M,) robust ones
    # Mean derivative of a weighted residual by the residual, relative to the mean weight; 1 in
    # plain least squares.
    slope: float
    min_variance: float  # least variance believed of a residual

    @cached_property
    def inverse_root(self) -> Array | None:
        """W (6, 6) with W @ W.T the inverse of the normal matrix, None where it is singular."""
        flat = self.jacobian.reshape(6, -1)
        return _inverse_root((self.jacobian * self.weights).reshape(6, -1) @ flat.T)


def pose_covariance(fit: Linearized, groupings: Sequence[NDArray[np.int64]]) -> Array | None:
    """Covariance (6, 6) of the parameters of a fit, None if it leaves them undetermined.

    Each of `groupings` (M,) names groups of measurements that may err together, such as those in
    one part of the image.

    The result is never smaller, in any direction, than the covariance for independent errors of the
    residuals' variance (Huber, Robust Statistics 1981, section 7.6). The ratios of the two, one for
    each of six directions, are known only as well as the number of groups allows; they are drawn
    towards their mean by the oracle approximating shrinkage of Chen et al. (IEEE Trans. Signal
    Processing 2010).
    """
    root = fit.inverse_root
    if root is None:
        return None
    psi = fit.weights * fit.residuals
    freedom = max(2.0 * float(fit.weights.sum()) - 6.0, 1.0)
    variance = max(float((psi**2).sum()) / freedom, fit.min_variance) / fit.slope**2

    normals = np.einsum('irn,jrn->ijn', fit.jacobian * fit.weights, fit.jacobian)
    gradients = (fit.jacobian * psi).sum(axis=1) / fit.slope
    effect = np.eye(6)
    for groups in groupings:
        jackknife = _jackknife(normals, gradients, groups, root)
        effects, directions = np.linalg.eigh(jackknife / variance)
        excess = np.maximum(_shrink(effects, int(np.unique(groups).size)), 1.0) - 1.0
        effect += (directions * excess) @ directions.T
    return np.asarray(variance * root @ effect @ root.T)


def shared_errors(fit: Linearized, displacements: Array, groups: NDArray[np.int64]) -> Array:
    """Covariance (6, 6) of a fit's parameters due to errors that map points share.

    The point of measurement m is off by `displacements[m]` (M, 3, k), meters along the camera's
    axes, times k independent numbers of variance one, which are the same for all measurements of
    one of `groups` (M,).
    """
    root = fit.inverse_root
    if root is None:
        raise ValueError('the fit does not determine its parameters')
    names, index = np.unique(groups, return_inverse=True)
    count, _, k = displacements.shape
    # A point's displacement changes a residual as the opposite step of the camera would.
    change = np.einsum('jrm,mjk->rmk', fit.jacobian[:3], displacements)
    pull = np.einsum('irm,rmk->mik', fit.jacobian * fit.weights, change).reshape(count, 6 * k)
    sums = np.zeros((len(names), 6 * k))
    np.add.at(sums, index, pull)
    steps = root @ root.T @ sums.reshape(-1, 6, k)
    return np.asarray(np.einsum('gik,gjk->ij', steps, steps))


def image_blocks(rays: Array, camera: NDArray[np.int64], grid: int = GRID) -> NDArray[np.int64]:
    """Block (N,) int of each viewing ray (N, 3) in a grid over the part of the image they fill.

    `camera` (N,) says which image a ray is of; each has blocks of its own.
    """
    blocks = camera * grid**2
    for index in np.unique(camera):
        chosen = camera == index
        blocks[chosen] += _blocks_of_one(rays[chosen], grid)
    return blocks


def _blocks_of_one(rays: Array, grid: int) -> NDArray[np.int64]:
    radius = np.linalg.norm(rays[:, :2], axis=1)
    angle = np.arctan2(radius, rays[:, 2])
    # Angles from the axis serve every lens; a plane image ends before 90 degrees.
    plane = rays[:, :2] * (angle / np.maximum(radius, 1e-12))[:, None]
    low = plane.min(axis=0)
    extent = np.maximum(plane.max(axis=0) - low, 1e-12)
    cells = np.minimum((grid * (plane - low) / extent).astype(np.int64), grid - 1)
    return cells[:, 0] * grid + cells[:, 1]


def _inverse_root(normal: Array) -> Array | None:
    """Return W (6, 6) with W @ W.T the inverse of a normal matrix, None where it is singular."""
    scale = np.sqrt(np.diag(normal))
    if not np.isfinite(normal).all() or (scale <= 0).any():
        return None
    values, vectors = np.linalg.eigh(normal / np.outer(scale, scale))
    if values[0] <= MIN_CONDITION * values[-1]:
        return None
    return vectors / np.sqrt(values) / scale[:, None]


def _jackknife(normals: Array, gradients: Array, blocks: NDArray[np.int64], root: Array) -> Array:
    """Covariance (6, 6) from the steps that leaving out one block after the other would cause.

    `normals` (6, 6, N) and `gradients` (6, N) are each measurement's share. The result is in the
    coordinates given by `root`, those in which the whole normal matrix is one.
    """
    names, index = np.unique(blocks, return_inverse=True)
    members = (np.arange(len(names))[:, None] == index).astype(np.float64)
    share = root.T @ (members @ normals.reshape(36, -1).T).reshape(-1, 6, 6) @ root
    values, vectors = np.linalg.eigh(np.eye(6) - share)
    # Where one block alone holds a direction, leaving it out would make an endless step.
    values = np.maximum(values, MIN_REMAINDER)
    steps = np.einsum('kij,ki->kj', vectors, members @ gradients.T @ root) / values
    steps = np.einsum('kij,kj->ki', vectors, steps)
    return steps.T @ steps * ((len(names) - 1) / len(names))


def _shrink(eigenvalues: Array, samples: int) -> Array:
    """Draw a sample covariance's eigenvalues (p,) towards their mean (OAS)."""
    p = len(eigenvalues)
    trace, square = float(eigenvalues.sum()), float((eigenvalues**2).sum())
    spread = (samples + 1.0 - 2.0 / p) * (square - trace**2 / p)
    excess = (1.0 - 2.0 / p) * square + trace**2
    weight = 1.0 if spread <= excess else excess / spread
    return (1.0 - weight) * eigenvalues + weight * trace / p
