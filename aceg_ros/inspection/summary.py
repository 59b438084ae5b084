"""All that can be said of a dataset without fitting anything, as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.base import Dataset, Frame
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import compose, inverse
from aceg_ros.inspection.agreement import Pair
from aceg_ros.inspection.consensus import Consensus, find_consensus
from aceg_ros.inspection.readings import Reading, find_misreading, read_as
from aceg_ros.inspection.views import Views, compare_neighbors
from aceg_ros.monitor import Monitor

Array = NDArray[np.float64]

_GAP_STEPS, _GAP_SECONDS = 5.0, 0.5  # a gap is longer than both, in median steps and in seconds
_MIN_PARALLAX_DEG = 0.5  # of a match that tells a distance
_RIGHT = 0.7  # agreement of pairs from which parallax and distance can be told


@dataclass(frozen=True)
class Lens:
    """One camera of a dataset."""

    model: str
    width: int
    height: int
    horizontal_deg: float  # field of view; nan where the model has no ray at the border
    vertical_deg: float
    frames: int


@dataclass(frozen=True)
class Gap:
    """A time without images."""

    before: str  # names of the frames
    after: str
    seconds: float


@dataclass(frozen=True)
class Summary:
    """What a dataset holds; lengths in its own unit."""

    name: str
    frames: int
    without_pose: int
    left_out: list[str]  # 'name: reason', those that cannot be read included
    notes: list[str]  # what the reader took for granted
    lenses: list[Lens]
    seconds: float | None  # from the first image to the last; None without times
    gaps: list[Gap]
    path_length: float
    speed: float | None  # median, in units a second
    parallax_deg: float | None  # median of views that share what they see
    distance: float | None  # median from the cameras to what they see
    agreement: float | None  # mean of wide pairs, 0 to 1; None without pairs
    misreading: Reading | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        values = asdict(self)
        if self.misreading is not None:
            values['misreading'] = {
                'pose_convention': self.misreading.option,
                'agreement': self.misreading.agreement,
            }
        return values


@dataclass(frozen=True)
class Inspection:
    """A dataset's summary, the views that were compared, and what they say of their poses."""

    summary: Summary
    views: Views
    consensus: Consensus


def inspect_dataset(dataset: Dataset, most: int, monitor: Monitor) -> Inspection:
    """Look at up to ``most`` frames, evenly chosen; nothing is fitted."""
    frames = dataset.frames
    posed = [frame for frame in frames if frame.world_from_cam is not None]
    chosen = posed
    if len(posed) > most:
        index = np.linspace(0, len(posed) - 1, most).round().astype(int)
        chosen = [posed[i] for i in index]
    views = compare_neighbors(chosen, monitor)
    agreement = read_as(views.wide, views.poses, ()).agreement if views.wide else None
    right = agreement is not None and agreement >= _RIGHT
    parallax, distance = _parallax(views.wide, views.poses) if right else (None, None)
    centers = views.poses[:, :3, 3]
    steps = np.linalg.norm(np.diff(centers, axis=0), axis=1)
    times = _times(frames)
    summary = Summary(
        name=dataset.name,
        frames=len(frames),
        without_pose=len(frames) - len(posed),
        left_out=[*dataset.skipped, *views.skipped],
        notes=list(dataset.notes),
        lenses=_lenses(frames),
        seconds=float(times[-1] - times[0]) if times is not None else None,
        gaps=_gaps(frames, times) if times is not None else [],
        path_length=float(steps.sum()),
        speed=_speed(views.frames, steps) if times is not None else None,
        parallax_deg=parallax,
        distance=distance,
        agreement=agreement,
        misreading=find_misreading(views.wide, views.poses),
    )
    return Inspection(summary, views, find_consensus(views.pairs, views.poses))


def field_of_view(camera: Camera) -> tuple[float, float]:
    """Horizontal and vertical angle in degrees, along the middle row and column."""
    x, y = (camera.width - 1) / 2, (camera.height - 1) / 2
    ends = [[-0.5, y], [camera.width - 0.5, y], [x, -0.5], [x, camera.height - 0.5], [x, y]]
    left, right, top, bottom, middle = camera.rays(np.array(ends))
    # By way of the middle, because a fisheye lens may see more than half a circle.
    horizontal = _angle(left, middle) + _angle(middle, right)
    return horizontal, _angle(top, middle) + _angle(middle, bottom)


def _angle(first: Array, second: Array) -> float:
    return float(np.degrees(np.arccos(np.clip(first @ second, -1.0, 1.0))))


def _lenses(frames: Sequence[Frame]) -> list[Lens]:
    counts = Counter(frame.camera for frame in frames)
    return [
        Lens(camera.model, camera.width, camera.height, *field_of_view(camera), count)
        for camera, count in counts.most_common()
    ]


def _times(frames: Sequence[Frame]) -> Array | None:
    """Stamps (N,) in seconds; None where the layout has no times and stamps are positions."""
    stamps = np.array([frame.stamp for frame in frames])
    if len(stamps) < 2 or np.array_equal(stamps, np.round(stamps)):
        return None
    return stamps


def _gaps(frames: Sequence[Frame], times: Array) -> list[Gap]:
    steps = np.diff(times)
    limit = max(_GAP_STEPS * float(np.median(steps)), _GAP_SECONDS)
    return [
        Gap(frames[index].name, frames[index + 1].name, float(steps[index]))
        for index in np.flatnonzero(steps > limit).tolist()
    ]


def _speed(frames: Sequence[Frame], steps: Array) -> float | None:
    seconds = np.diff([frame.stamp for frame in frames])
    timed = seconds > 0
    return float(np.median(steps[timed] / seconds[timed])) if timed.any() else None


def _parallax(pairs: Sequence[Pair], poses: Array) -> tuple[float | None, float | None]:
    """Medians of the parallax in degrees, and of the distance from the cameras to what they see."""
    parallaxes, distances = [], []
    for pair in pairs:
        second_from_first = compose(inverse(poses[pair.second]), poses[pair.first])
        turned = pair.matches.first @ second_from_first[:3, :3].T
        sine = np.linalg.norm(np.cross(turned, pair.matches.second), axis=1)
        parallaxes.append(float(np.median(sine)))
        # Law of sines in the triangle of both cameras and the point.
        across = np.linalg.norm(np.cross(turned, second_from_first[:3, 3]), axis=1)
        telling = sine > np.sin(np.radians(_MIN_PARALLAX_DEG))
        distances += (across[telling] / sine[telling]).tolist()
    if not parallaxes:
        return None, None
    parallax = float(np.degrees(np.arcsin(min(np.median(parallaxes), 1.0))))
    return parallax, float(np.median(distances)) if distances else None
