"""Everything a fit can be told."""

from __future__ import annotations

from dataclasses import dataclass

from aceg_ros.errors import FitError

MIN_KEYFRAMES = 5  # fewer do not make a map


@dataclass(frozen=True)
class FitOptions:
    """Defaults fit a room in well under a minute on two CPU cores."""

    budget: float = 60.0  # seconds for the whole mapping; the fit ends in time or on convergence
    epochs: int = 40  # passes over the buffer at most
    tokens: int = 6144  # size of the code; a token takes about 90 bytes on disk
    landmarks: int = 2500  # points that make poses exact, at most; one takes 82 bytes on disk
    buffer_patches: int = 160_000  # training patches in memory, whatever the number of keyframes
    batch: int = 4096  # patches per step
    max_keyframes: int = 400  # evenly chosen where a recording has more
    augmented: float = 0.2  # part of the buffer taken from turned, scaled and relit copies
    near_view_angle: float = 4.0  # degrees of parallax; nearer views are hidden from changed copies
    held_out: float = 0.08  # part of the keyframes kept out to judge the map, at most 12
    use_depth: bool = False  # take anchors from depth images registered to the color image
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise FitError for numbers that no fit can work with."""
        for name in ('budget', 'epochs', 'tokens', 'buffer_patches', 'batch', 'max_keyframes'):
            if not getattr(self, name) > 0:
                raise FitError(f'{name} must be greater than 0, not {getattr(self, name)}')
        if not self.landmarks >= 0:
            raise FitError(f'landmarks must be 0 or more, not {self.landmarks}')
        for name in ('augmented', 'held_out'):
            if not 0 <= getattr(self, name) < 1:
                raise FitError(f'{name} must be from 0 to below 1, not {getattr(self, name)}')
