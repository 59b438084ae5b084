"""Traps for a localizer: which there are, and what it answers to them.

Half of a recording is mapped. The other half is asked for through every flaw in turn, alone and
behind the node's filter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.base import Frame
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.poses import shifted
from aceg_ros.lab.encoder_training.light import relit
from aceg_ros.lab.traps import images
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.localization.verification import is_gross, is_right
from aceg_ros.tracking.gate import Fix, Gate

ON_A_SCREEN, MIRRORED = 'the place on a screen elsewhere', 'mirrored'
# In these a pose can be right, in those none is.
_FLAWS: dict[str, images.Flaw] = {
    'motion blur': images.motion_blur,
    'overexposed': images.overexposed,
    'underexposed': images.underexposed,
    'flash': images.flash,
    'raindrops': images.raindrops,
    'rolling noise': images.rolling_noise,
    'person in front': images.person,
    'photograph before half the lens': images.photograph_before_half,
}
_DECEPTIONS: dict[str, images.Flaw] = {
    'another place': images.another_place,
    ON_A_SCREEN: images.on_a_screen,
    'a thing of the place elsewhere': images.poster_elsewhere,
    MIRRORED: images.mirrored,
    'blank wall': images.blank_wall,
    'covered lens': images.covered_lens,
}
AS_IT_IS, OTHER_LIGHT = 'as it is', 'other light'
# Of the images given to the filter, this one in so many is as it is, so that it has a track.
_CLEAN_EVERY = 5
_SCREEN_DEPTH = (0.7, 2.5)  # m
_FLAW_SEED = 31
_INTERVAL = 0.2  # s between images, for the filter


Answer: TypeAlias = Localization | LocalizationFailure


@dataclass(frozen=True)
class Trap:
    """Images of one kind. Frames without a pose have no right answer."""

    name: str
    frames: Sequence[Frame]


@dataclass(frozen=True)
class Trial:
    """One image, what the localizer answered, and whether the filter believed it."""

    frame: Frame
    answer: Answer
    believed: bool

    @property
    def given(self) -> Localization | None:
        """The pose, where one was given out."""
        return self.answer if isinstance(self.answer, Localization) else None

    @property
    def right(self) -> bool:
        """Whether the pose is right, see `localization.verification`."""
        truth = self.frame.world_from_cam
        return self.given is not None and truth is not None and is_right(self.given, truth)

    @property
    def wrong(self) -> bool:
        """Whether a pose was given where none is right, or one that is grossly wrong."""
        if self.given is None:
            return False
        truth = self.frame.world_from_cam
        return truth is None or is_gross(self.given, truth)


@dataclass(frozen=True)
class Outcome:
    """The trials of a trap."""

    trap: Trap
    trials: list[Trial]

    def counts(self) -> dict[str, int | bool]:
        """Images; poses that are right, wrong or refused; and right and wrong ones believed."""
        believed = [trial for trial in self.trials if trial.believed]
        return {
            'solvable': any(frame.world_from_cam is not None for frame in self.trap.frames),
            'images': len(self.trials),
            'right': sum(trial.right for trial in self.trials),
            'wrong': sum(trial.wrong for trial in self.trials),
            'refused': sum(trial.given is None for trial in self.trials),
            'right, filtered': sum(trial.right for trial in believed),
            'wrong, filtered': sum(trial.wrong for trial in believed),
        }


def traps(queries: Sequence[Frame], strangers: Sequence[Frame], seed: int = 0) -> Iterator[Trap]:
    """All that can be made of ``queries``, the first of which are as they are.

    ``strangers`` are images of other places; raises DatasetError without any.
    """
    if not strangers:
        raise DatasetError('there are no images of another place; name another dataset')
    yield Trap(AS_IT_IS, queries)
    yield Trap(OTHER_LIGHT, [relit(frame, seed + index) for index, frame in enumerate(queries)])
    for name, flaw in {**_FLAWS, **_DECEPTIONS}.items():
        flawed = [
            replace(
                frame,
                name=f'{frame.name}, {name}',
                load_image=partial(_flawed, flaw, frame, stranger, [seed, index]),
                load_depth=partial(_flawed_depth, name, frame, stranger, [seed, index]),
                depth_camera=None,
                world_from_cam=frame.world_from_cam if name in _FLAWS else None,
            )
            for index, (frame, stranger) in enumerate(zip(queries, cycle(strangers), strict=False))
        ]
        yield Trap(name, flawed)


def twin_rooms(mapping: Sequence[Frame], queries: Sequence[Frame]) -> tuple[list[Frame], Trap]:
    """The place mapped twice, side by side, and images that could be of either."""
    centers = np.array([f.world_from_cam[:3, 3] for f in mapping if f.world_from_cam is not None])
    aside = np.array([10.0 * max(float(np.ptp(centers, axis=0).max()), 1.0), 0.0, 0.0])
    twin = [
        replace(frame, name=f'{frame.name}, twin', world_from_cam=shifted(pose, aside))
        for frame in mapping
        if (pose := frame.world_from_cam) is not None
    ]
    asked = [replace(frame, world_from_cam=None) for frame in queries]
    return [*mapping, *twin], Trap('two equal rooms in the map', asked)


def spring(
    localizer: Localizer, trap: Trap, clean: Sequence[Answer], use_depth: bool = False
) -> Outcome:
    """Ask for all images of a trap, alone and in a stream with images that are as they are.

    ``clean`` are the answers to the latter. With ``use_depth`` depth images are given too.
    """
    gate = Gate()
    trials = []
    for index, (frame, answer) in enumerate(
        zip(trap.frames, answers(localizer, trap.frames, use_depth), strict=True)
    ):
        if index % _CLEAN_EVERY == 0:
            _filter(gate, 2 * index, clean[index % len(clean)])
        trials.append(Trial(frame, answer, _filter(gate, 2 * index + 1, answer)))
    return Outcome(trap, trials)


def answers(localizer: Localizer, frames: Sequence[Frame], use_depth: bool = False) -> list[Answer]:
    """What a localizer says of images, with ``use_depth`` beside their depth images."""
    return [
        localizer.localize(
            frame.image(), frame.camera, depth=frame.registered_depth() if use_depth else None
        )
        for frame in frames
    ]


def _filter(gate: Gate, number: int, answer: Answer) -> bool:
    stamp = _INTERVAL * number
    gate.advance(stamp, None)
    if not isinstance(answer, Localization):
        return False
    return gate.check(Fix(stamp, answer.world_from_cam, answer.covariance)).accepted


def _flawed_depth(name: str, frame: Frame, stranger: Frame, seed: list[int]) -> NDArray[np.float32]:
    """What a depth camera sees beside `_flawed`; 0 where nothing is known.

    That is the place, or the stranger's. A mirror shows the depth of the place, too. A screen is
    flat, and as far away as it happens to be.
    """
    width, height = frame.camera.width, frame.camera.height
    nothing = np.zeros((height, width), np.float32)
    seen = frame if name in _FLAWS or name == MIRRORED else stranger
    depth = seen.registered_depth()
    if depth is None:
        depth = nothing
    if seen is stranger:
        depth = np.asarray(cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST))
    if name == MIRRORED:
        return np.ascontiguousarray(depth[:, ::-1])
    if name == ON_A_SCREEN:
        rng = np.random.default_rng([*seed, _FLAW_SEED])
        black = np.zeros((height, width, 3), np.uint8)
        screen = images.on_a_screen(black + np.uint8(255), black, rng)[..., 0] > 0
        return np.where(screen, np.float32(rng.uniform(*_SCREEN_DEPTH)), depth)
    return depth


def _flawed(flaw: images.Flaw, frame: Frame, stranger: Frame, seed: list[int]) -> images.Image:
    image = frame.image()
    other = cv2.resize(stranger.image(), image.shape[1::-1], interpolation=cv2.INTER_AREA)
    return flaw(image, np.asarray(other, np.uint8), np.random.default_rng([*seed, _FLAW_SEED]))
