"""The training patches of one scene, shuffled, in a fixed amount of memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from aceg_ros.mapping.keyframes import Keyframe
from aceg_ros.pose.reprojection import tangent_frames


@dataclass(frozen=True)
class PatchBuffer:
    """N patches of all keyframes, those of one group next to each other.

    Group 2 k is keyframe k as it was taken, group 2 k + 1 its changed copy.
    """

    features: torch.Tensor  # (N, D) float16
    group: torch.Tensor  # (N,) long
    # (N, 3, 3), map axes: rows are two unit vectors across the viewing ray, and the ray
    frames: torch.Tensor
    centers: torch.Tensor  # (N, 3) camera center
    focal: torch.Tensor  # (N,) px

    def __len__(self) -> int:
        return len(self.features)

    def to(self, device: torch.device) -> PatchBuffer:
        """The buffer on ``device``."""
        return PatchBuffer(*(getattr(self, n).to(device) for n in self.__dataclass_fields__))


def fill_buffer(keyframes: Sequence[Keyframe], size: int, augmented: float) -> PatchBuffer:
    """The most reliable patches of each keyframe and of its changed copy, ``size`` at most.

    ``augmented`` is the copies' part of them. Keyframes without a copy have no such part.
    """
    per_keyframe = max(size // len(keyframes), 1)
    parts = []
    for index, keyframe in enumerate(keyframes):
        copy = keyframe.augmented
        changed = 0 if copy is None else round(per_keyframe * augmented)
        chosen = [keyframe.patches.best(per_keyframe - changed)]
        if copy is not None:
            chosen.append(copy.best(changed))
        for number, patches in enumerate(chosen):
            axes = torch.from_numpy(tangent_frames(patches.rays.double().numpy())).permute(2, 1, 0)
            rotation = torch.from_numpy(keyframe.world_from_cam[:3, :3])
            count = len(patches.features)
            center = torch.from_numpy(keyframe.center).float()
            parts.append(
                (
                    patches.features,
                    torch.full((count,), 2 * index + number),
                    (axes @ rotation.T).float(),
                    center.expand(count, 3),
                    torch.full((count,), keyframe.camera.focal),
                )
            )
    return PatchBuffer(*(torch.cat(column) for column in zip(*parts, strict=True)))
