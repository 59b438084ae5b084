"""What nodes tell programs, in the values of a DiagnosticStatus, with the same types on both sides.

The message of a status is for people; no program has to read it. Units are in the keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue


@dataclass(frozen=True)
class FitValues:
    """Of the mapper's ~/progress."""

    state: str = ''  # a FitState
    stage: str = ''  # such as load, encode or fit
    fraction: float = 0.0  # of the stage, 0 to 1
    remaining_s: float = 0.0  # until the end of the fit, estimated
    detail: str = ''  # such as the loss; why a fit failed
    recorded: int = 0  # keyframes in the recording, those included that test the map
    keyframes: int = 0  # of the map; this and what follows are those of a finished fit
    left_out: int = 0  # frames
    seconds: float = 0.0
    device: str = ''
    map_bytes: int = 0
    map: str = ''  # file; empty while the map is not saved
    quality: str = ''
    advice: str = ''
    notes: str = ''  # such as poses that were adjusted, or a budget that was too small


@dataclass(frozen=True)
class CameraValues:
    """Of the status `camera` of both nodes; numbers are of images since the start.

    Of a rig each camera has one, `camera <topic>`.
    """

    rate_hz: float = 0.0
    images: int = 0  # that came
    dropped: int = 0  # replaced by newer ones before there was time for them
    lost: int = 0  # on their way here, where the middleware tells
    unusable: int = 0


@dataclass(frozen=True)
class LocalizationValues:
    """Of the localizer's status `localization`; beside these, `<stage>_ms` for each stage."""

    rate_hz: float = 0.0
    accepted: int = 0  # images, as the next two
    refused: int = 0
    failed: int = 0
    inliers: int = 0  # of the last pose
    confidence: float = 0.0  # of the last pose, given out or refused
    cameras: str = ''  # of a rig, topics of those that the last accepted pose rests on
    map_id: str = ''  # name of the map that the last accepted pose is in
    oldest_image_ms: float = 0.0  # age of the oldest image when work on it began, of late
    latency_ms: float = 0.0  # of the last fix, from its stamp to its publication


T = TypeVar('T', FitValues, CameraValues, LocalizationValues)


def key_values(values: Mapping[str, object]) -> list[KeyValue]:
    """The values of a status."""
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    """The values of a status by key, as they are written."""
    return {entry.key: entry.value for entry in status.values}


def read_values(kind: type[T], status: DiagnosticStatus) -> T:
    """The values of a status as one of the classes above; those that are missing are its defaults.

    Raises ValueError for what is no number where one belongs.
    """
    told = values_of(status)
    defaults = asdict(kind())
    return kind(
        **{name: type(default)(told[name]) for name, default in defaults.items() if name in told}
    )
