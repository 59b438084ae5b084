"""First depths by plane sweep: which depth along a patch's ray agrees with the other views.

Multi-view stereo in its oldest form (Collins, A Space-Sweep Approach to True Multi-Image Matching,
CVPR 1996), on patch features instead of colors. It needs no start value and no gradient, so the
fit begins with a scene instead of with noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from aceg_ros.errors import FitError
from aceg_ros.mapping.keyframes import Keyframe
from aceg_ros.mapping.options import SweepOptions
from aceg_ros.mapping.views import ViewPairs, compare_views, neighbors
from aceg_ros.monitor import Monitor
from aceg_ros.threads import side_by_side

_QUANTILES = (0.03, 0.5, 0.97)
_COARSE_RANGE = (3.0, 3000.0)  # nearest and farthest first guess, in median steps between keyframes
_MIN_COARSE_PATCHES = 24  # of each keyframe
_ONE_SPOT = 1e-9  # map units
_SLANT = 0.01  # of the distance, by which surfaces come nearer within a patch of eight pixels
_PEAK = 6  # planes on either side of the best that belong to the same peak
_LEAST_INVERSE = 1e-6  # 1 / map unit
_MIN_RATIOS, _OFF_SCALE = 30, 1.25

_Found = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # (P,) distance, score, ambiguity


@dataclass(frozen=True)
class Candidates:
    """Patches with a depth, each a possible token."""

    keyframe: torch.Tensor  # (C,) long, which keyframe it is a patch of
    patch: torch.Tensor  # (C,) long, which patch of that keyframe
    features: torch.Tensor  # (C, D) float16
    points3d: torch.Tensor  # (C, 3) map frame
    colors: torch.Tensor  # (C, 3) uint8
    score: torch.Tensor  # (C,) agreement of the views at that depth, 0..1
    ambiguity: torch.Tensor  # (C,) the second best depth's score over the best's
    # (C,) standard deviation of a measured distance, as a part of it; inf where none was measured
    deviation: torch.Tensor

    @property
    def any_measured(self) -> bool:
        """Whether the distance of any was measured."""
        return bool(torch.isfinite(self.deviation).any())


@dataclass(frozen=True)
class SceneDepths:
    """How far things are from the cameras."""

    near: float
    median: float
    far: float

    @classmethod
    def of(cls, distances: torch.Tensor) -> SceneDepths:
        """From a sample of distances (N,), less the nearest and the farthest few."""
        near, median, far = torch.quantile(distances, torch.tensor(_QUANTILES)).tolist()
        return cls(near, median, far)


def scene_depths(
    keyframes: Sequence[Keyframe], options: SweepOptions, monitor: Monitor
) -> SceneDepths:
    """Depths of the scene: measured ones, and those of a coarse sweep over three decades.

    Raises FitError when there are none, because all keyframes were taken from one spot, or do not
    agree on what they see. Raises it also when measured and swept ones differ in their unit.
    """
    centers = np.stack([keyframe.center for keyframe in keyframes])
    steps = np.linalg.norm(np.diff(centers, axis=0), axis=1)
    spread = np.linalg.norm(centers - centers.mean(axis=0), axis=1).max()
    unit = max(float(np.median(steps)), float(spread) / 30)
    if unit < _ONE_SPOT and not any(keyframe.has_depth for keyframe in keyframes):
        raise FitError(
            'all keyframes were taken from one spot, so nothing can be triangulated: map with '
            'depth images, or move the camera sideways while recording, by a tenth of the distance '
            'to what it sees or more'
        )
    unit = max(unit, _ONE_SPOT)
    nearest, farthest = (bound * unit for bound in _COARSE_RANGE)
    planes = torch.logspace(-np.log10(farthest), -np.log10(nearest), options.coarse_planes)
    others = neighbors(compare_views(keyframes, 10 * unit), options.views, options.good_parallax)
    patches = max(options.coarse_patches // len(keyframes), _MIN_COARSE_PATCHES)
    usable = [i for i, k in enumerate(keyframes) if len(others[i]) >= 2 or k.has_depth]

    def swept_one(index: int) -> tuple[torch.Tensor, _Found]:
        chosen = _scattered(keyframes[index], patches)
        views = [keyframes[j] for j in others[index]]
        return chosen, _swept(keyframes[index], chosen, views, planes)

    distances, ratios, tried = [], [], 0
    for index, (chosen, swept) in zip(usable, side_by_side(swept_one, usable), strict=True):
        monitor.check()
        keyframe = keyframes[index]
        tried += len(chosen)
        if keyframe.measured is not None:
            measured = keyframe.measured[chosen]
            ratios.append((measured / swept[0])[_is_sure(swept) & (measured > 0)])
        known = _or_measured(keyframe, chosen, swept)
        distances.append(known[0][_is_sure(known)])
    _check_scale(ratios)
    if not distances or len(found := torch.cat(distances)) < options.min_agreeing * tried:
        raise FitError(
            'the keyframes hardly agree on what they see: check that poses and images belong '
            'together, that the calibration is right, and that the camera moved between images'
        )
    return SceneDepths.of(found)


def sweep(
    keyframes: Sequence[Keyframe],
    depths: SceneDepths,
    pairs: ViewPairs,
    patches_per_image: int,
    options: SweepOptions,
    monitor: Monitor,
) -> Candidates:
    """Candidates from keyframes that have depth, or that others overlap.

    ``pairs`` compares the keyframes at the scene's median depth. A patch whose depth was measured
    keeps that instead of the swept one. Raises FitError where neither parallax nor depth images
    tell the depth.
    """
    others = neighbors(pairs, options.views, options.good_parallax)
    _require_parallax(keyframes, pairs.parallax, others, depths, options.min_parallax)
    planes = _planes(depths, options)
    usable = [i for i, k in enumerate(keyframes) if len(others[i]) >= 2 or k.has_depth]
    if not usable:
        raise FitError(
            'no keyframe shares its view with two others: record the place in one slow sweep, with '
            'neighboring images showing mostly the same things'
        )

    def candidates_of(index: int) -> Candidates:
        keyframe = keyframes[index]
        chosen = _scattered(keyframe, patches_per_image)
        swept = _swept(keyframe, chosen, [keyframes[j] for j in others[index]], planes)
        found = _or_measured(keyframe, chosen, swept)
        return _candidates(index, keyframe, chosen, found, options.depth_noise)

    return _of_all(candidates_of, usable, monitor)


def sweep_again(
    keyframes: Sequence[Keyframe],
    candidates: Candidates,
    depths: SceneDepths,
    pairs: ViewPairs,
    options: SweepOptions,
    monitor: Monitor,
) -> Candidates:
    """The candidates of `sweep`, after the poses of the keyframes changed a little.

    Only depths of the peak that was found before are tried, which takes a tenth of the planes.
    """
    others = neighbors(pairs, options.views, options.good_parallax)
    planes = _planes(depths, options)
    within = torch.arange(-_PEAK, _PEAK + 1) * (planes[1] - planes[0])
    usable = candidates.keyframe.unique().tolist()

    def candidates_of(index: int) -> Candidates:
        keyframe = keyframes[index]
        rows = candidates.keyframe == index
        chosen = candidates.patch[rows]
        center = torch.from_numpy(keyframe.center).float()
        before = 1 / (candidates.points3d[rows] - center).norm(dim=1)
        inverse = (before[:, None] + within).clamp_min(_LEAST_INVERSE)
        swept = _swept(keyframe, chosen, [keyframes[j] for j in others[index]], inverse)
        distance, score, _ = swept
        swept = distance, score, candidates.ambiguity[rows]
        found = _or_measured(keyframe, chosen, swept)
        return _candidates(index, keyframe, chosen, found, options.depth_noise)

    return _of_all(candidates_of, usable, monitor)


def _planes(depths: SceneDepths, options: SweepOptions) -> torch.Tensor:
    """Inverse distances (N,) to try, rising."""
    return torch.linspace(1 / (1.6 * depths.far), 1 / (0.6 * depths.near), options.planes)


def _candidates(
    index: int, keyframe: Keyframe, chosen: torch.Tensor, found: _Found, depth_noise: float
) -> Candidates:
    """Those patches of one keyframe of which a depth was found."""
    distance, score, ambiguity = found
    points3d = _points(keyframe, keyframe.patches.rays[chosen], distance)
    good = score > 0
    return Candidates(
        torch.full((int(good.sum()),), index),
        chosen[good],
        keyframe.patches.features[chosen][good],
        points3d[good],
        torch.from_numpy(keyframe.colors)[chosen][good],
        score[good],
        ambiguity[good],
        _deviation(keyframe, chosen, depth_noise)[good],
    )


def _of_all(
    candidates_of: Callable[[int], Candidates], usable: Sequence[int], monitor: Monitor
) -> Candidates:
    """The candidates of all ``usable`` keyframes, in their order."""
    parts = []
    for done, part in enumerate(side_by_side(candidates_of, usable)):
        monitor.report('triangulate', done / len(usable), f'keyframe {done + 1} of {len(usable)}')
        parts.append(vars(part).values())
    return Candidates(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _is_sure(found: _Found) -> torch.Tensor:
    _, score, ambiguity = found
    return (score > 0.4) & (ambiguity < 0.9)


def _require_parallax(
    keyframes: Sequence[Keyframe],
    parallax: np.ndarray,
    others: Sequence[np.ndarray],
    depths: SceneDepths,
    least: float,
) -> None:
    if sum(keyframe.has_depth for keyframe in keyframes) > len(keyframes) / 2:
        return
    pairs = zip(parallax, others, strict=True)
    typical = np.median([row[o].mean() if len(o) else 0.0 for row, o in pairs])
    if typical < least:
        raise FitError(
            f'the keyframes show the scene (about {depths.median:.2g} away) with a parallax of '
            f'only {typical:.2f} degrees, as from one spot: move the camera sideways while '
            'recording, or map with depth images'
        )


def _scattered(keyframe: Keyframe, count: int) -> torch.Tensor:
    """Indices of the most reliable patches, local maxima first, so that they do not clump."""
    reliability = keyframe.patches.reliability.view(keyframe.feature_map.shape[1:])
    highest = F.max_pool2d(reliability[None], 3, 1, 1)[0] == reliability
    usable = torch.isfinite(keyframe.patches.rays).all(dim=1)
    score = (reliability + highest).flatten().masked_fill(~usable, -1.0)
    return score.topk(min(count, int(usable.sum()))).indices


def _swept(
    keyframe: Keyframe, chosen: torch.Tensor, views: Sequence[Keyframe], inverse: torch.Tensor
) -> _Found:
    """As `_best_depth`; with fewer than two views nothing is found, which a score of 0 says."""
    if len(views) < 2:
        return torch.ones(len(chosen)), *torch.zeros(2, len(chosen))
    return _best_depth(keyframe, chosen, views, inverse)


def _or_measured(keyframe: Keyframe, chosen: torch.Tensor, swept: _Found) -> _Found:
    """What was swept, but for what was measured: that is not doubted."""
    if keyframe.measured is None:
        return swept
    distance, score, ambiguity = swept
    measured = keyframe.measured[chosen]
    known = measured > 0
    return (
        torch.where(known, measured, distance),
        score.masked_fill(known, 1.0),
        ambiguity.masked_fill(known, 0.0),
    )


def _check_scale(ratios: Sequence[torch.Tensor]) -> None:
    """Raise FitError where measured depth is not in the unit of the poses.

    Each tensor (N,) has measured distances as parts of swept ones, which have the poses' unit.
    """
    found = torch.cat([torch.ones(0), *ratios])
    if len(found) < _MIN_RATIOS or 1 / _OFF_SCALE < (ratio := float(found.median())) < _OFF_SCALE:
        return
    raise FitError(
        f'depth images show everything {ratio:.3g} times as far away as images and poses do: '
        'check the unit of depth (depth_scale of the calibration file), and that poses are in '
        'meters; or map without depth'
    )


def _deviation(keyframe: Keyframe, chosen: torch.Tensor, depth_noise: float) -> torch.Tensor:
    """See `Candidates.deviation`."""
    if keyframe.measured is None:
        return torch.full((len(chosen),), torch.inf)
    measured = keyframe.measured[chosen]
    z = measured * keyframe.patches.rays[chosen, 2]
    return torch.hypot(depth_noise * z, torch.tensor(_SLANT)).masked_fill(measured <= 0, torch.inf)


def _best_depth(
    keyframe: Keyframe, chosen: torch.Tensor, views: Sequence[Keyframe], inverse: torch.Tensor
) -> _Found:
    """Distance along the ray, score and ambiguity, each (P,).

    ``inverse`` are the inverse distances to try, rising: (N,) for all patches or (P, N) for each.
    """
    inverse = inverse.expand(len(chosen), -1)
    rays = keyframe.patches.rays[chosen]
    features = keyframe.patches.features[chosen].float()
    points = _points(keyframe, rays[:, None], 1 / inverse).reshape(-1, 3).double().numpy()
    shape = tuple(inverse.shape)
    agreement, seen_by = torch.zeros(shape), torch.zeros(shape)
    for view in views:
        in_view = (points - view.center) @ view.world_from_cam[:3, :3]
        pixels = torch.from_numpy(view.camera.project(in_view)).float().view(*shape, 2)
        rows, columns = view.feature_map.shape[1:]
        stride = torch.tensor([view.camera.width // columns, view.camera.height // rows])
        size = torch.tensor([columns, rows]) * stride
        grid = (pixels + 0.5) / size * 2 - 1
        inside = (grid.abs() < 1).all(dim=2)
        similarity = features @ view.feature_map.flatten(1).float()
        read = F.grid_sample(
            similarity.view(-1, 1, rows, columns),
            torch.nan_to_num(grid, nan=2.0).clamp(-2.0, 2.0)[:, :, None],
            mode='bicubic',  # a bilinear surface has its peaks at patch centers only
            align_corners=False,
        )[:, 0, :, 0]
        agreement += torch.where(inside, read.clamp_min(0).square(), torch.zeros_like(read))
        seen_by += inside
    # one more view than there are, so that many agreeing views beat two
    score = torch.where(seen_by >= 2, agreement / (seen_by + 1), torch.zeros_like(agreement))
    best = score.argmax(dim=1)
    middle = best.clamp(1, inverse.shape[1] - 2)[:, None]
    left, top, right = (score.gather(1, middle + k)[:, 0] for k in (-1, 0, 1))
    shift = (0.5 * (left - right) / (left - 2 * top + right - 1e-6)).clamp(-0.5, 0.5)
    nearby = [inverse.gather(1, middle + k)[:, 0] for k in (-1, 0, 1)]
    step = torch.where(shift < 0, nearby[1] - nearby[0], nearby[2] - nearby[1])
    refined = nearby[1] + shift * step
    beside = (torch.arange(inverse.shape[1])[None] - best[:, None]).abs() > _PEAK
    second = score.masked_fill(~beside, 0.0).amax(dim=1)
    peak = score.amax(dim=1)
    return 1 / refined, peak, second / peak.clamp_min(1e-6)


def _points(keyframe: Keyframe, rays: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
    """Points in the map frame at ``distance`` along camera rays (..., 3)."""
    pose = torch.from_numpy(keyframe.world_from_cam).float()
    return rays * distance[..., None] @ pose[:3, :3].T + pose[:3, 3]
