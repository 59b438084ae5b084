"""How a camera is rolled, in quarter turns."""

from __future__ import annotations

import numpy as np

from aceg_ros.geometry.cameras import turned_from_cam
from aceg_ros.localization.encoded import TURNS, EncodedImage
from aceg_ros.readers.base import CodeReader


class Turns:
    """Says by which turn an image becomes one as the keyframes are."""

    def __init__(self, reader: CodeReader, min_gain: float) -> None:
        """``min_gain`` is that of `SearchOptions.min_turn_gain`."""
        self._reader = reader
        self._min_gain = min_gain

    def expected(self, world_from_cam: np.ndarray | None) -> int:
        """The turn after which a camera there is held as the keyframes are."""
        keyframes = self._reader.code.keyframes
        if world_from_cam is None or self._min_gain >= 1 or not len(keyframes):
            return 0
        alike = [
            np.einsum(
                'ij,kij->k',
                (world_from_cam @ turned_from_cam(-turn))[:3, :3],
                keyframes[:, :3, :3],
            ).max()
            for turn in range(TURNS)
        ]
        return int(np.argmax(alike))

    def better(self, encoded: EncodedImage, turn: int) -> int:
        """The turn in which the map knows the patches of an image clearly better than in ``turn``.

        That one itself where there is none.
        """
        if self._min_gain >= 1 or self._reader.mean_similarity(encoded.patches) is None:
            return turn
        known = [self._reader.mean_similarity(each) or 0.0 for each in encoded.small_turns]
        best = int(np.argmax(known))
        return best if known[best] >= known[turn] + self._min_gain else turn
