"""How well a reader answers for the query views of scenes it has not seen, patch by patch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from aceg_ros.pretraining.config import RegimenOptions
from aceg_ros.pretraining.loop import iterate
from aceg_ros.pretraining.pool import Pool
from aceg_ros.pretraining.shards import SceneBuffer, read_scene
from aceg_ros.regressor.blocks import Surroundings
from aceg_ros.regressor.regressor import CodeTensors, Regressor

NOMINAL = (0.5, 0.9)  # parts of the patches that should lie within their interval
_NEAR = 0.10  # m


@dataclass(frozen=True)
class PatchErrors:
    """Errors of patches of known points, of all query views of some scenes."""

    metres: np.ndarray  # (P,)
    sigma: np.ndarray  # (P,) metres
    kinds: np.ndarray  # (P,) str: how the view differs from the mapping views

    def of(self, kind: str) -> PatchErrors:
        """Those of the kinds that start with ``kind``."""
        chosen = np.char.startswith(self.kinds, kind)
        return PatchErrors(self.metres[chosen], self.sigma[chosen], self.kinds[chosen])

    def coverage(self, nominal: Sequence[float] | np.ndarray) -> np.ndarray:
        """Parts of the errors within the intervals of ``nominal`` probability."""
        reach = -np.log1p(-np.asarray(nominal, float)) / math.sqrt(2.0)
        return (self.metres[None] < reach[:, None] * self.sigma[None]).mean(axis=1)

    def summary(self) -> dict[str, float]:
        """Median, share within 10 cm, mean loss and coverage."""
        half, most = self.coverage(NOMINAL)
        loss = np.log(self.sigma) + math.sqrt(2.0) * self.metres / self.sigma
        sure = self.metres[self.sigma <= np.median(self.sigma)]
        return {
            'patches': float(len(self.metres)),
            'median_cm': 100 * float(np.median(self.metres)),
            'within_10cm': float((self.metres < _NEAR).mean()),
            'median_cm_of_surer_half': 100 * float(np.median(sure)),
            'surer_half_within_10cm': float((sure < _NEAR).mean()),
            'loss': float(loss.mean()),
            'coverage_50': float(half),
            'coverage_90': float(most),
        }


@torch.no_grad()
def patch_errors(
    scenes: Sequence[tuple[SceneBuffer, CodeTensors]], reader: Regressor, context: bool = True
) -> PatchErrors:
    """Read all query views of ``scenes`` with the codes given; views without points do not count.

    Without ``context`` every patch is read as if it were alone.
    """
    metres, sigma, kinds = [], [], []
    for buffer, code in scenes:
        query = buffer.query
        for view, kind in enumerate(buffer.kinds):
            rows = slice(int(query.starts[view]), int(query.starts[view + 1]))
            features, truth = query.features[rows].float(), query.points3d[rows]
            around = Surroundings.of(query.rays[rows]) if context else None
            read = reader(features, code, around=around)
            known = torch.isfinite(truth).all(dim=1)
            metres.append((read.points3d - truth).norm(dim=1)[known].double().numpy())
            sigma.append(read.sigma[known].double().numpy())
            kinds += [kind] * int(known.sum())
    return PatchErrors(np.concatenate(metres), np.concatenate(sigma), np.array(kinds))


def fitted_scenes(files: Sequence[Path]) -> list[tuple[SceneBuffer, CodeTensors]]:
    """Scenes with the codes that the anchored reader was fitted for."""
    scenes = [read_scene(path) for path in files]
    return [(scene, scene.start('fitted')) for scene in scenes]


def mapped_scenes(
    files: Sequence[Path], reader: Regressor, regimen: RegimenOptions, iterations: int
) -> list[tuple[SceneBuffer, CodeTensors]]:
    """The same scenes after more mapping iterations through ``reader``, whose weights stay."""
    scenes = []
    regimen = replace(regimen, pool=1, slots=1, life=2 * iterations + 1, scenes=0)
    for file in files:
        generator = torch.Generator().manual_seed(regimen.seed)
        active = Pool([file], regimen, [0], torch.device('cpu')).scene(0, generator)
        for _ in range(iterations):
            iterate(reader, active, regimen, True, generator)
        reader.zero_grad(set_to_none=True)
        code = CodeTensors(*(part.detach() for part in vars(active.code.tensors()).values()))
        scenes.append((active.buffer, code))
    return scenes
