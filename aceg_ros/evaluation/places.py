"""How a place that is mapped in parts is found: the part, the pose, and what a query costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from aceg_ros.datasets import Frame
from aceg_ros.encoder.descriptor import global_descriptor
from aceg_ros.errors import DatasetError
from aceg_ros.geometry.poses import pose_error
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
from aceg_ros.localization.several import MapSet
from aceg_ros.maps.code import world_keyframes
from aceg_ros.monitor import Monitor

T = TypeVar('T')
Array = NDArray[np.float64]

_RIGHT = 0.10, 5.0  # m, degrees
_WRONG = 0.25, 5.0
FIRST = (1, 2, 3)  # ranks to count


@dataclass(frozen=True)
class PlaceFigures:
    """What the parts of a place answered for images that say nothing of where they are.

    Times are medians of processor time. Shares are of all queries.
    """

    parts: int
    keyframes: int
    queries: int
    right_part: dict[int, float]  # share whose part is among the first so many by descriptor
    right: float  # share of poses within 10 cm and 5 degrees
    wrong: int  # poses given that are off by more than 25 cm or 5 degrees
    ambiguous: int  # refusals because two parts gave different poses
    alone: float  # share within 10 cm and 5 degrees where the part is known
    wrong_alone: int
    ms: float
    ms_alone: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True)
class SimulatedRanking:
    """Ranking of the parts of a place among others that were made up."""

    parts: int  # in all
    keyframes: int
    right_part: dict[int, float]  # as in `PlaceFigures`
    ms: float  # median time of a ranking
    alike: float  # median cosine of a query with the likeliest keyframe of the wrong real parts
    alike_simulated: float  # and of those that were made up

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def evaluate_place(
    maps: MapSet, frames: Sequence[Frame], monitor: Monitor | None = None
) -> PlaceFigures:
    """Ask for each image in the parts that look like it, and in the part that it shows, alone.

    The part that an image shows is the one with the nearest keyframe. Raises DatasetError where no
    image has a pose.
    """
    monitor = monitor or Monitor()
    ranks, times = [], []
    answers: list[tuple[Array, Localization | LocalizationFailure]] = []
    alone: list[tuple[Array, Localization | LocalizationFailure]] = []
    for index, frame in enumerate(_posed(frames)):
        monitor.report('evaluate', index / len(frames), frame.name)
        image, camera, pose = frame.image(), frame.camera, frame.pose()
        own = _nearest_part(maps, pose)
        ranks.append(maps.ranked(image, camera).index(own))
        known, once = _timed(lambda: maps.localizers[own].localize(image, camera))  # noqa: B023
        found, several = _timed(lambda: maps.localize(image, camera, first=''))  # noqa: B023
        alone.append((pose, known))
        answers.append((pose, found))
        times.append((several, once))
    ms, ms_alone = (1000 * np.median(times, axis=0)).tolist()
    return PlaceFigures(
        parts=len(maps.localizers),
        keyframes=sum(len(each.code.keyframes) for each in maps.localizers.values()),
        queries=len(answers),
        right_part=_among_first(np.array(ranks)),
        right=float(np.mean([_within(*each, *_RIGHT) for each in answers])),
        wrong=sum(bool(each[1]) and not _within(*each, *_WRONG) for each in answers),
        ambiguous=sum(_reason(answer) is Reason.AMBIGUOUS for _, answer in answers),
        alone=float(np.mean([_within(*each, *_RIGHT) for each in alone])),
        wrong_alone=sum(bool(each[1]) and not _within(*each, *_WRONG) for each in alone),
        ms=ms,
        ms_alone=ms_alone,
    )


def simulate_ranking(
    maps: MapSet, frames: Sequence[Frame], times: int, seed: int = 0, common: float = 0.5
) -> SimulatedRanking:
    """Rank parts by descriptor in a place that is ``times`` as large, of two parts at least.

    Added parts are copies of the real ones that have a share ``common`` of what sets a keyframe
    apart from the mean of all; the rest is turned in a way of their own. So the rooms of a made-up
    part are as different from each other as those of a real one.
    """
    rng = np.random.default_rng(seed)
    own = {name: torch.from_numpy(each.code.descriptors) for name, each in maps.localizers.items()}
    mean = torch.cat(list(own.values())).mean(dim=0)
    parts = list(own.values())
    for _ in range(times - 1):
        for real in own.values():
            order = torch.from_numpy(rng.permutation(real.shape[1]))
            sign = torch.from_numpy(rng.choice([-1.0, 1.0], real.shape[1]).astype(np.float32))
            apart = real - mean
            turned = apart[:, order] * sign
            parts.append(
                F.normalize(mean + common**0.5 * apart + (1 - common) ** 0.5 * turned, dim=1)
            )
    ranks, seconds, alike = [], [], []
    names = list(own)
    for frame in _posed(frames):
        right = names.index(_nearest_part(maps, frame.pose()))
        query = _descriptor(maps.localizers[names[right]], frame)
        start = time.perf_counter()
        similarity = torch.stack([(part @ query).max() for part in parts])
        seconds.append(time.perf_counter() - start)
        ranks.append(int((similarity > similarity[right]).sum()))
        wrong = [k for k in range(len(names)) if k != right]
        alike.append([float(similarity[wrong].max()), float(similarity[len(names) :].max())])
    real_alike, made_alike = np.median(alike, axis=0).tolist()
    return SimulatedRanking(
        len(parts),
        sum(map(len, parts)),
        _among_first(np.array(ranks)),
        1000 * float(np.median(seconds)),
        real_alike,
        made_alike,
    )


def _descriptor(localizer: Localizer, frame: Frame) -> torch.Tensor:
    return global_descriptor(localizer.encode(frame.image(), frame.camera).patches.features).cpu()


def _among_first(ranks: NDArray[np.int64]) -> dict[int, float]:
    return {count: float((ranks < count).mean()) for count in FIRST}


def _posed(frames: Sequence[Frame]) -> list[Frame]:
    posed = [frame for frame in frames if frame.world_from_cam is not None]
    if not posed:
        raise DatasetError(f'none of the {len(frames)} images has a pose; choose others')
    return posed


def _nearest_part(maps: MapSet, pose: Array) -> str:
    def distance(name: str) -> float:
        centers = world_keyframes(maps.localizers[name].code)[:, :3, 3]
        return float(np.linalg.norm(centers - pose[:3, 3], axis=1).min())

    return min(maps.localizers, key=distance)


def _within(
    pose: Array, answer: Localization | LocalizationFailure, meters: float, degrees: float
) -> bool:
    if not isinstance(answer, Localization):
        return False
    distance, angle = pose_error(answer.world_from_cam, pose)
    return bool(distance < meters and angle < degrees)


def _reason(answer: Localization | LocalizationFailure) -> Reason | None:
    return None if isinstance(answer, Localization) else answer.reason


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """Result of work, and its processor time in seconds."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start
