"""How well a reader answers for the query views of scenes it has not seen, patch by patch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from aceg_ros.lab.pretraining.config import ScheduleOptions
from aceg_ros.lab.pretraining.loop import iterate
from aceg_ros.lab.pretraining.losses import FLOOR_PX
from aceg_ros.lab.pretraining.pool import Pool
from aceg_ros.lab.pretraining.shards import SceneBuffer, read_scene
from aceg_ros.regressor.anchored import AnchoredRegressor, AnchoredTensors
from aceg_ros.regressor.blocks import Surroundings

NOMINAL = (0.5, 0.9)  # parts of the patches that should lie within their interval
_NEAR, _NEAR_PX = 0.10, 12.0  # m; px, which is an inlier's limit in localization


@dataclass(frozen=True)
class PatchErrors:
    """Errors as claimed and as they are, of patches of known points, of the query views of scenes.

    Pixels are across the viewing ray: a reprojection error, for which sigma stands.
    """

    meters: np.ndarray  # (P,)
    pixels: np.ndarray  # (P,)
    sigma_px: np.ndarray  # (P,)
    sure: np.ndarray  # (P,) bool, the half of a view's patches with the smallest sigma in meters
    kinds: np.ndarray  # (P,) str: how the view differs from the mapping views

    def of(self, kind: str) -> PatchErrors:
        """Those of the kinds that start with ``kind``."""
        chosen = np.char.startswith(self.kinds, kind)
        return PatchErrors(*(part[chosen] for part in vars(self).values()))

    def coverage(self, nominal: Sequence[float] | np.ndarray) -> np.ndarray:
        """Parts of the errors in pixels within the intervals of ``nominal`` probability."""
        reach = -np.log1p(-np.asarray(nominal, float)) / math.sqrt(2.0)
        return (self.pixels[None] < reach[:, None] * self.sigma_px[None]).mean(axis=1)

    def summary(self) -> dict[str, float]:
        """Medians, shares within 10 cm and 12 px, mean loss in pixels, and coverage."""
        half, most = self.coverage(NOMINAL)
        loss = np.log(self.sigma_px) + math.sqrt(2.0) * self.pixels / self.sigma_px
        return {
            'patches': float(len(self.meters)),
            'median_cm': 100 * float(np.median(self.meters)),
            'within_10cm': float((self.meters < _NEAR).mean()),
            'within_12px': float((self.pixels < _NEAR_PX).mean()),
            'surer_half_within_10cm': float((self.meters[self.sure] < _NEAR).mean()),
            'surer_half_within_12px': float((self.pixels[self.sure] < _NEAR_PX).mean()),
            'loss': float(loss.mean()),
            'coverage_50': float(half),
            'coverage_90': float(most),
        }


@torch.no_grad()
def patch_errors(
    scenes: Sequence[tuple[SceneBuffer, AnchoredTensors]],
    reader: AnchoredRegressor,
    context: bool = True,
) -> PatchErrors:
    """Read all query views of ``scenes`` with the codes given; views without points do not count.

    Without ``context`` every patch is read as if it were alone.
    """
    parts: list[PatchErrors] = []
    for buffer, code in scenes:
        query = buffer.query
        for view, kind in enumerate(buffer.kinds):
            rows = slice(int(query.starts[view]), int(query.starts[view + 1]))
            rays, truth = query.rays[rows], query.points3d[rows]
            around = Surroundings.of(rays) if context else None
            read = reader(query.features[rows].float(), code, around)
            known = torch.isfinite(truth).all(dim=1)
            offset = read.points3d - query.centers[view]
            distance = offset.norm(dim=1).clamp_min(1e-6)
            focal = query.focal[view]
            parts.append(
                PatchErrors(
                    meters=(read.points3d - truth).norm(dim=1)[known].numpy(),
                    pixels=((offset / distance[:, None] - rays).norm(dim=1) * focal)[known].numpy(),
                    sigma_px=(read.sigma / distance * focal + FLOOR_PX)[known].numpy(),
                    sure=(read.sigma <= read.sigma.median())[known].numpy(),
                    kinds=np.full(int(known.sum()), kind),
                )
            )
    names = PatchErrors.__dataclass_fields__
    return PatchErrors(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def fitted_scenes(files: Sequence[Path]) -> list[tuple[SceneBuffer, AnchoredTensors]]:
    """Scenes with the codes that the anchored reader was fitted for."""
    scenes = [read_scene(path) for path in files]
    return [(scene, scene.start('fitted')) for scene in scenes]


def mapped_scenes(
    files: Sequence[Path], reader: AnchoredRegressor, schedule: ScheduleOptions, iterations: int
) -> list[tuple[SceneBuffer, AnchoredTensors]]:
    """The same scenes after more mapping iterations through ``reader``, whose weights stay."""
    scenes = []
    schedule = replace(schedule, pool=1, slots=1, life=2 * iterations + 1, scenes=0)
    for file in files:
        generator = torch.Generator().manual_seed(schedule.seed)
        active = Pool([file], schedule, [0], torch.device('cpu')).scene(0, generator)
        for _ in range(iterations):
            iterate(reader, active, schedule, True, generator)
        reader.zero_grad(set_to_none=True)
        code = AnchoredTensors(*(part.detach() for part in vars(active.code.tensors()).values()))
        scenes.append((active.buffer, code))
    return scenes
