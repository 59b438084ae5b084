"""Frames that hang on each other, each known in its parent over time: what TF messages tell."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import numpy as np

from aceg_ros.errors import PoseError, TransformError
from aceg_ros.geometry.poses import Array, compose, inverse
from aceg_ros.geometry.timeline import Timeline


class TransformTree:
    """Transforms between any two frames of a tree, at any time its edges are known for.

    Stamps are seconds. Not locked: who shares it between threads locks it.
    """

    def __init__(self, history: float = inf, max_gap: float = inf) -> None:
        """Keep the last `history` seconds; interpolate between stamps up to `max_gap` s apart."""
        self._history = history
        self._max_gap = max_gap
        self._parents: dict[str, str] = {}
        self._static: dict[str, Array] = {}
        self._moving: dict[str, Timeline] = {}

    @property
    def frames(self) -> list[str]:
        """Names of all frames, sorted."""
        return sorted({*self._parents, *self._parents.values()})

    def add(self, parent: str, child: str, parent_from_child: Array, stamp: float | None) -> None:
        """Learn where `child` is in `parent`, (4, 4), at `stamp`; None: always.

        Another parent than before replaces it, with all that was known of the child.
        """
        if self._parents.get(child) != parent or (child in self._static) != (stamp is None):
            self._moving.pop(child, None)
            self._static.pop(child, None)
            self._parents[child] = parent
        if stamp is None:
            self._static[child] = parent_from_child
        else:
            timeline = self._moving.setdefault(child, Timeline(self._history, self._max_gap))
            timeline.add(stamp, parent_from_child)

    def lookup(self, target: str, source: str, stamp: float) -> Array:
        """target_from_source (4, 4) at `stamp`.

        Raises TransformError when a frame is not known, the two are not connected, or a transform
        between them is not known for this time.
        """
        target_chain, source_chain = self._chain(target), self._chain(source)
        common = next((frame for frame in source_chain if frame in target_chain), None)
        if common is None:
            raise TransformError(
                f'frames {target} and {source} are not connected: {" < ".join(target_chain)} and '
                f'{" < ".join(source_chain)} are separate trees of TF'
            )
        common_from_target = self._climb(target_chain, common, stamp)
        common_from_source = self._climb(source_chain, common, stamp)
        return compose(inverse(common_from_target), common_from_source)

    @property
    def parents(self) -> dict[str, str]:
        """What each frame hangs on, but for those at the top."""
        return dict(self._parents)

    def clear(self) -> None:
        """Forget all but the static transforms."""
        for child in self._moving:
            del self._parents[child]
        self._moving.clear()

    def _chain(self, frame: str) -> list[str]:
        """`frame`, its parent, and so on to the root."""
        if frame not in self._parents and frame not in self._parents.values():
            raise unknown_frame(frame, self.frames)
        chain = [frame]
        while chain[-1] in self._parents:
            parent = self._parents[chain[-1]]
            if parent in chain:
                raise TransformError(f'TF goes in a circle: {" < ".join([*chain, parent])}')
            chain.append(parent)
        return chain

    def _climb(self, chain: list[str], top: str, stamp: float) -> Array:
        """top_from_chain[0] (4, 4)."""
        result = np.eye(4)
        for child in chain[: chain.index(top)]:
            if child in self._static:
                parent_from_child = self._static[child]
            else:
                try:
                    parent_from_child = self._moving[child].at(stamp)
                except PoseError as error:
                    raise TransformError(f'{self._parents[child]} < {child}: {error}') from error
            result = compose(parent_from_child, result)
        return result


def unknown_frame(frame: str, known: Iterable[str]) -> TransformError:
    """Says that TF has no such frame, and which it has."""
    return TransformError(f'TF has no frame {frame!r}; it has: {", ".join(known) or "none"}')
