"""What a training scene is: views to map it from, and other views to be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aceg_ros.datasets.base import Frame


@dataclass(frozen=True)
class Scene:
    """Posed views of one place; with depth where it is known.

    ``kinds`` says of each query view how it differs from the mapping views.
    """

    name: str  # unique among all scenes, and a file name
    mapping: Sequence[Frame]
    query: Sequence[Frame]
    kinds: Sequence[str]


class SceneSource(Protocol):
    """A dataset for pre-training: any number of scenes, each made when it is asked for."""

    def __len__(self) -> int:
        """How many scenes there are."""

    def name(self, index: int) -> str:
        """What ``scene`` will be called, without making it."""

    def scene(self, index: int) -> Scene:
        """Scene number ``index``: the same at every call, in every process."""
