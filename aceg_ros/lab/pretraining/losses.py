"""What a reading should have been: Laplace likelihoods in space and in the image."""

from __future__ import annotations

import torch

from aceg_ros.lab.pretraining.sampling import Sample
from aceg_ros.learning import laplace_loss
from aceg_ros.regressor.base import SceneCoordinates
from aceg_ros.regressor.blocks import Candidates, Round

_FLOOR = 0.002  # of the scene's depth: no point is known better
FLOOR_PX = 0.5
_NEAREST = 0.02  # of the scene's depth: predictions nearer than this along the ray are invalid
_FARTHEST_PX = 1000.0
_RIGHT = 0.025  # rad: error of a candidate that is half right
_HOPELESS = 0.02  # weight below which a choice does not get worse


def choice_loss(
    given: Candidates, logits: torch.Tensor, sample: Sample, points: bool
) -> torch.Tensor:
    """(P,) -log of the weight on right candidates.

    A candidate is right as far as 1 / (1 + (e / e0)^2) says, with e its error as the camera sees
    it: in 3D, over the distance, where the point is known and ``points`` is set, else off the ray.
    """
    offset = given.anchors.detach() - sample.centers[:, None]
    along = (offset * sample.rays[:, None]).sum(dim=2)
    distance = offset.norm(dim=2).clamp_min(1e-6)
    error = (offset / distance[:, :, None] - sample.rays[:, None]).norm(dim=2)
    if points:
        known = torch.isfinite(sample.points3d).all(dim=1)
        truth = torch.where(known[:, None], sample.points3d, sample.centers) - sample.centers
        apart = (offset - truth[:, None]).norm(dim=2) / truth.norm(dim=1).clamp_min(1e-6)[:, None]
        error = torch.where(known[:, None], apart, error)
    right = torch.where(along > 0, 1 / (1 + (error / _RIGHT).square()), 0)
    return -((logits.softmax(dim=1) * right).sum(dim=1) + _HOPELESS).log()


def prediction_loss(
    read: SceneCoordinates | Round, sample: Sample, depth: float, points: bool = True
) -> torch.Tensor:
    """Mean over patches: in 3D where the point is known and ``points`` is set, else on the ray."""
    on_ray = ray_loss(read, sample, depth)
    if not points:
        return on_ray.mean()
    known = torch.isfinite(sample.points3d).all(dim=1)
    return torch.where(known, point_loss(read, sample, depth), on_ray).mean()


def point_loss(read: SceneCoordinates | Round, sample: Sample, depth: float) -> torch.Tensor:
    """(P,) log(sigma) + sqrt(2) |y - y*| / sigma, lengths as parts of ``depth``."""
    truth = torch.where(torch.isfinite(sample.points3d), sample.points3d, read.points3d.detach())
    error = (read.points3d - truth).square().sum(dim=1).add(1e-12).sqrt()
    sigma = read.sigma / depth + _FLOOR
    return laplace_loss(error / depth, sigma)


def ray_loss(read: SceneCoordinates | Round, sample: Sample, depth: float) -> torch.Tensor:
    """(P,) the same in pixels across the viewing ray; invalid readings are pulled to the ray."""
    offset = read.points3d - sample.centers
    along = (offset * sample.rays).sum(dim=1)
    z = along.clamp_min(_NEAREST * depth)
    across = (offset - along[:, None] * sample.rays).square().sum(dim=1).add(1e-12).sqrt()
    error = across / z * sample.focal
    valid = (along > _NEAREST * depth) & (error < _FARTHEST_PX)
    sigma = read.sigma / z * sample.focal + FLOOR_PX
    laplace = laplace_loss(error, sigma)
    pulled = 10 * (offset - depth * sample.rays).abs().sum(dim=1) / depth
    return torch.where(valid, laplace, pulled)
