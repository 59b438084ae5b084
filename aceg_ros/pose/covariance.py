"""Uncertainty of a pose whose measurements' errors are correlated across the image.

Neighboring patches read the same parts of the map, so they err together and N of them weigh less
than N independent ones. How much less is measured, not assumed. The image is cut into blocks, and
the covariance is the jackknife over blocks. It is the cluster-robust "sandwich" of Liang and Zeger
(Biometrika 1986), in its leave-one-cluster-out form CR3 (Bell and McCaffrey, Survey Methodology
2002). Errors need only be uncorrelated between blocks, not within one.
"""

from __future__ import annotations

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
# Standard deviation of the rotation in radians beyond which a linearized covariance says nothing.
MAX_ROTATION_STD = 1.0


def pose_covariance(
    jacobian: Array,
    residuals: Array,
    weights: Array,
    slope: float,
    min_variance: float,
    blocks: NDArray[np.int64],
) -> Array | None:
    """Covariance (6, 6) of the parameters of a robust least squares fit, None if undetermined.

    `residuals` (2, N) and their `jacobian` (6, 2, N) are in units of the deviation expected of each
    measurement, `weights` (N,) are the robust ones at the solution. `slope` is the mean derivative
    of a weighted residual by the residual, relative to the mean weight (1 in plain least squares).
    `min_variance` is the least variance believed of a residual. `blocks` (N,) names the part of the
    image each measurement comes from.

    The result is never smaller, in any direction, than the covariance for independent errors of the
    residuals' variance (Huber, Robust Statistics 1981, section 7.6). The ratios of the two, one for
    each of six directions, are known only as well as the number of blocks allows; they are drawn
    towards their mean by the oracle approximating shrinkage of Chen et al. (IEEE Trans. Signal
    Processing 2010).
    """
    weighted = jacobian * weights
    normals = np.einsum('irn,jrn->ijn', weighted, jacobian)
    root = _inverse_root(normals.sum(axis=2))
    if root is None:
        return None
    psi = weights * residuals
    freedom = max(2.0 * float(weights.sum()) - 6.0, 1.0)
    variance = max(float((psi**2).sum()) / freedom, min_variance) / slope**2

    gradients = (jacobian * psi).sum(axis=1) / slope
    jackknife = _jackknife(normals, gradients, blocks, root)
    effects, directions = np.linalg.eigh(jackknife / variance)
    effects = np.maximum(_shrink(effects, int(np.unique(blocks).size)), 1.0)
    root = root @ directions
    covariance = variance * (root * effects) @ root.T
    if np.linalg.eigvalsh(covariance[3:, 3:])[-1] > MAX_ROTATION_STD**2:
        return None
    return covariance


def image_blocks(rays: Array, grid: int = GRID) -> NDArray[np.int64]:
    """Block (N,) int of each viewing ray (N, 3) in a grid over the part of the image they fill."""
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
