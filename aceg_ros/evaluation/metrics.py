"""How well images are localized, and whether the reported covariances are honest."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from aceg_ros.datasets import Frame
from aceg_ros.datasets.rig import Moment
from aceg_ros.errors import DatasetError, ImageError
from aceg_ros.geometry.poses import pose_error
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization, LocalizationFailure, Localizes
from aceg_ros.localization.several import MapSet
from aceg_ros.monitor import Monitor
from aceg_ros.pose.consistency import normalized_errors

Array = NDArray[np.float64]

RECALL_CM = (5, 10, 25)
RECALL_DEG = 5.0
COVERAGE = (0.50, 0.90, 0.95)


@dataclass(frozen=True)
class FrameResult:
    """What a localizer answered for one frame whose pose is known."""

    frame: Frame
    world_from_cam: Array  # (4, 4), the truth
    answer: Localization | LocalizationFailure
    seconds: float  # wall time of the answer; nan where there was none
    meters: float  # between the camera centers; infinite when not localized
    degrees: float  # between the rotations; infinite when not localized

    @classmethod
    def of(
        cls,
        frame: Frame,
        truth: Array,
        answer: Localization | LocalizationFailure,
        seconds: float,
    ) -> FrameResult:
        """An answer, compared."""
        meters, degrees = math.inf, math.inf
        if isinstance(answer, Localization):
            meters, degrees = map(float, pose_error(answer.world_from_cam, truth))
        return cls(frame, truth, answer, seconds, meters, degrees)

    @property
    def localized(self) -> bool:
        """Whether a pose was given, right or wrong."""
        return isinstance(self.answer, Localization)

    def within(self, cm: float, degrees: float = RECALL_DEG) -> bool:
        """Whether a pose was given that is right to less than both limits."""
        return self.meters * 100.0 < cm and self.degrees < degrees

    def row(self) -> dict[str, Any]:
        """The result as JSON-able values, None for errors that do not exist."""
        return {
            'name': self.frame.name,
            'localized': self.localized,
            'cm': _finite(100.0 * self.meters),
            'deg': _finite(self.degrees),
            'ms': _finite(1000.0 * self.seconds),
            'failure': None if isinstance(self.answer, Localization) else self.answer.reason.value,
        }


@dataclass(frozen=True)
class Evaluation:
    """A localizer's answers for the frames of a dataset that could be evaluated, at least one."""

    results: list[FrameResult]
    skipped: list[str]  # frames whose image cannot be read: 'name: reason'
    without_pose: int  # frames that there is nothing to compare with

    def joined(self, others: Evaluation) -> Evaluation:
        """These answers and others'."""
        return Evaluation(
            self.results + others.results,
            self.skipped + others.skipped,
            self.without_pose + others.without_pose,
        )

    def summary(self) -> dict[str, float | int | None]:
        """The figures to quote; frames that were not localized count as infinitely wrong.

        Recalls are fractions of all frames; a median is None when half of the frames or more
        failed.
        """
        cm = 100.0 * np.array([result.meters for result in self.results])
        degrees = np.array([result.degrees for result in self.results])
        seconds = np.array([result.seconds for result in self.results])
        milliseconds = 1000.0 * seconds[np.isfinite(seconds)]
        figures: dict[str, float | int | None] = {
            'frames': len(self.results),
            'localized': sum(result.localized for result in self.results),
            'median_cm': _finite(float(np.median(cm))),
            'median_deg': _finite(float(np.median(degrees))),
        }
        for limit in RECALL_CM:
            hits = [result.within(limit) for result in self.results]
            figures[f'recall_{limit}cm_{RECALL_DEG:.0f}deg'] = float(np.mean(hits))
        for name, percentile in (('median', 50.0), ('p95', 95.0)):
            any_answer = len(milliseconds) > 0
            figures[f'query_ms_{name}'] = (
                float(np.percentile(milliseconds, percentile)) if any_answer else None
            )
        return figures

    def failures(self) -> dict[str, int]:
        """How many frames failed for which reason, the most frequent first."""
        reasons = Counter(
            result.answer.reason.value
            for result in self.results
            if isinstance(result.answer, LocalizationFailure)
        )
        return dict(reasons.most_common())

    def calibration(self) -> dict[str, Any]:
        """Whether the covariances of the localized frames match their errors.

        For the whole `pose`, its `position` and its `rotation` there are the normalized squared
        error of each frame, its mean by degree of freedom, its median, and the expected median.
        Further there is the fraction of frames inside
        the ellipsoids that should hold 50, 90 and 95 % of them. Medians are None when no frame was
        localized.
        """
        nees = np.array(
            [
                normalized_errors(
                    result.world_from_cam, result.answer.world_from_cam, result.answer.covariance
                )
                for result in self.results
                if isinstance(result.answer, Localization)
            ]
        ).reshape(-1, 3)
        return {
            'frames': len(nees),
            'pose': _coverage(nees[:, 0], 6),
            'position': _coverage(nees[:, 1], 3),
            'rotation': _coverage(nees[:, 2], 3),
        }


def evaluate(
    localizer: Localizes,
    frames: Sequence[Frame],
    monitor: Monitor | None = None,
) -> Evaluation:
    """Localize each of `frames` that has a pose, and compare.

    Raises DatasetError when no frame can be evaluated.
    """

    def read(frame: Frame) -> _Question:
        image = frame.image()
        return lambda: localizer.localize(image, frame.camera)

    return _evaluate(_of_frames(frames, read), monitor)


def evaluate_with_depth(
    localizer: Localizer | MapSet, frames: Sequence[Frame], monitor: Monitor | None = None
) -> Evaluation:
    """As `evaluate`, with the depth images of those frames that have some."""

    def read(frame: Frame) -> _Question:
        image, depth = frame.image(), frame.registered_depth()
        return lambda: localizer.localize(image, frame.camera, depth=depth)

    return _evaluate(_of_frames(frames, read), monitor)


def evaluate_rig(
    localizer: Localizer | MapSet, moments: Sequence[Moment], monitor: Monitor | None = None
) -> Evaluation:
    """As `evaluate`, with the images of all cameras of a rig together; frames are the first's."""

    def read(moment: Moment) -> _Question:
        images, rig = moment.read()
        return lambda: localizer.localize_rig(images, rig)

    asked = [
        _Asked(
            next(frame for frame in moment.frames if frame is not None),
            moment.world_from_rig,
            partial(read, moment),
        )
        for moment in moments
    ]
    return _evaluate(asked, monitor)


_Question: TypeAlias = Callable[[], Localization | LocalizationFailure]


@dataclass(frozen=True)
class _Asked:
    """What is localized: ``read`` reads the images, and what it returns localizes them."""

    frame: Frame
    pose: np.ndarray | None  # the true one
    read: Callable[[], _Question]


def _of_frames(frames: Sequence[Frame], read: Callable[[Frame], _Question]) -> list[_Asked]:
    return [_Asked(frame, frame.world_from_cam, partial(read, frame)) for frame in frames]


def _evaluate(asked: Sequence[_Asked], monitor: Monitor | None) -> Evaluation:
    monitor = monitor or Monitor()
    results: list[FrameResult] = []
    skipped: list[str] = []
    without_pose = 0
    for index, each in enumerate(asked):
        monitor.report('evaluate', index / len(asked), each.frame.name)
        if each.pose is None:
            without_pose += 1
            continue
        try:
            localize = each.read()
        except ImageError as error:
            skipped.append(f'{each.frame.name}: {error}')
            continue
        start = time.perf_counter()
        answer = localize()
        seconds = time.perf_counter() - start
        results.append(FrameResult.of(each.frame, each.pose, answer, seconds))
    if not results:
        raise DatasetError(
            f'none of the {len(asked)} frames can be evaluated: {without_pose} have no pose, '
            f'{len(skipped)} no readable image; choose frames with both'
        )
    return Evaluation(results, skipped, without_pose)


def _coverage(nees: Array, freedom: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        'nees': [_finite(value) for value in nees.tolist()],
        'mean': _finite(float(np.mean(nees)) / freedom) if len(nees) else None,
        'median': _finite(float(np.median(nees))) if len(nees) else None,
        'expected_median': float(chdtri(freedom, 0.5)),
    }
    for part in COVERAGE:
        inside = float(np.mean(nees <= chdtri(freedom, 1.0 - part))) if len(nees) else None
        result[f'within_{100 * part:.0f}'] = inside
    return result


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
