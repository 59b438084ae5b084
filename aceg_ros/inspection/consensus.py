"""Which frames have a pose that disagrees with all that see the same: tracking was lost there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from aceg_ros.inspection.agreement import DISAGREES, Pair

Array = NDArray[np.float64]

_FEWEST_PAIRS = 2  # fewer do not convict a frame
_MOST_LOST = 0.5  # part of the largest piece of a recording; more is another recording


@dataclass(frozen=True)
class Consensus:
    """What pairs of N frames say of the frames' poses."""

    agreement: Array  # (N,) mean of a frame's pairs with frames not lost; nan where it has none
    lost: list[int]  # frames whose pose disagrees
    jumps: list[tuple[int, int]]  # frames between which poses jump; both sides agree by themselves
    against: float  # part of all pairs that disagree

    @property
    def median(self) -> float:
        """Of all frames that can be judged; nan without."""
        known = self.agreement[np.isfinite(self.agreement)]
        return float(np.median(known)) if len(known) else float('nan')


def find_consensus(pairs: Sequence[Pair], poses: Array) -> Consensus:
    """Judge the poses (N, 4, 4) of frames by all pairs they are in.

    The worst frame, most of whose pairs disagree, is taken out until there is none. Then pieces
    of the recording that agree by themselves but with nothing else are taken out, if they are
    small.
    """
    count = len(poses)
    if not pairs:
        return Consensus(np.full(count, np.nan), [], [], 0.0)
    first, second = (np.array([getattr(p, name) for p in pairs]) for name in ('first', 'second'))
    values = np.array([pair.agreement(poses) for pair in pairs])
    kept = np.ones(count, bool)
    while True:
        live = kept[first] & kept[second]
        against = _tally(first, second, live & (values < DISAGREES), count)
        judged = _tally(first, second, live, count)
        convicted = (judged >= _FEWEST_PAIRS) & (against > judged / 2)
        if not convicted.any():
            break
        # Of those the one that most is held against; the mean decides between equals.
        means = _means(first, second, values, live, count)
        share = np.where(convicted, against - np.nan_to_num(means), -np.inf)
        kept[int(share.argmax())] = False
    kept, jumps = _pieces(first, second, values, kept)
    # A lost frame is shown with what the others say of it.
    agreement = _means(first, second, values, kept[first] | kept[second], count)
    anyhow = _means(first, second, values, np.ones(len(values), bool), count)
    agreement = np.where(np.isfinite(agreement), agreement, anyhow)
    return Consensus(
        agreement, np.flatnonzero(~kept).tolist(), jumps, float((values < DISAGREES).mean())
    )


def _pieces(
    first: NDArray[np.int64], second: NDArray[np.int64], values: Array, kept: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], list[tuple[int, int]]]:
    """Frames kept without small pieces that disagree with others, and jumps between large ones.

    A piece is what agreeing pairs of kept frames link. A small one goes where it disagrees with
    the largest, or where more pairs speak against it than hold it together.
    """
    against = values < DISAGREES
    live = kept[first] & kept[second]
    linked = live & ~against
    shape = (len(kept), len(kept))
    graph = coo_matrix((np.ones(int(linked.sum())), (first[linked], second[linked])), shape=shape)
    piece = connected_components(graph, directed=False)[1]
    count = int(piece.max()) + 1
    sizes = np.bincount(piece[kept], minlength=count)
    largest = int(sizes.argmax())
    within = np.bincount(piece[first[linked]], minlength=count)
    broken = against & (piece[first] != piece[second])
    outside = _tally(piece[first], piece[second], broken, count)
    to_largest = broken & live & ((piece[first] == largest) | (piece[second] == largest))
    from_largest = _tally(piece[first], piece[second], to_largest, count)
    small = sizes < _MOST_LOST * sizes[largest]
    doomed = small & ((from_largest >= _FEWEST_PAIRS) | (outside > within))
    doomed[largest] = False
    kept = kept & ~doomed[piece]
    both = broken & kept[first] & kept[second] & (second == first + 1)
    return kept, list(zip(first[both].tolist(), second[both].tolist(), strict=True))


def _tally(
    first: NDArray[np.int64], second: NDArray[np.int64], chosen: NDArray[np.bool_], count: int
) -> NDArray[np.int64]:
    """In how many of the chosen pairs each of ``count`` frames is."""
    ends = np.concatenate([first[chosen], second[chosen]])
    return np.bincount(ends, minlength=count).astype(np.int64)


def _means(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    values: Array,
    chosen: NDArray[np.bool_],
    count: int,
) -> Array:
    """Mean (count,) of the chosen pairs' values at each frame; nan where it has none."""
    ends = np.concatenate([first[chosen], second[chosen]])
    sums = np.bincount(ends, np.tile(values[chosen], 2), count)
    number = np.bincount(ends, minlength=count)
    return np.where(number > 0, sums / np.maximum(number, 1), np.nan)
