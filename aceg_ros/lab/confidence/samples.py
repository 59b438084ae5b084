"""Poses with all gates open, their evidence, and whether they are right."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.engine import Engine
from aceg_ros.errors import AcegError, ConfigError
from aceg_ros.files import write_atomically
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.options import GateOptions, LocalizationOptions, SearchOptions
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.localization.verification import EVIDENCE, is_gross, is_right
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import MappingOptions

# Each size is a sample of its own.
OPEN = LocalizationOptions(
    search=SearchOptions(sure_confidence=0.0),
    gate=GateOptions(
        min_confidence=0.0,
        max_rival=1e6,
        min_inliers=6,
        max_position_std=1e6,
        max_rotation_std=360.0,
    ),
)


@dataclass(frozen=True)
class Sample:
    """One query, as it is or at half the size."""

    scene: str  # its place: samples of one are held out together
    group: str  # such as 'near' or 'elsewhere'
    found: bool  # whether there was a pose at all
    right: bool  # in the sense of `verification.is_right`
    gross: bool  # not right, and off by more than 25 cm or 5 degrees
    evidence: dict[str, float]  # empty where nothing was found


@dataclass(frozen=True)
class SceneQueries:
    """A scene to map, and groups of views to find; frames without a pose are from elsewhere."""

    name: str
    mapping: Sequence[Frame]
    groups: Mapping[str, Sequence[Frame]]
    place: str  # scenes of one place are held out together


def scene_samples(scene: SceneQueries, engine: Engine, options: MappingOptions) -> list[Sample]:
    """Map a scene once, and ask for all views; raises FitError when it cannot be mapped."""
    code = map_scene(scene.mapping, engine, options).code
    return query_samples(scene, Localizer(code, engine, OPEN))


def query_samples(scene: SceneQueries, localizer: Localizer) -> list[Sample]:
    """Ask for all views of a scene, as they are and at half the size; the localizer is `OPEN`."""
    samples = []
    for group, frames in scene.groups.items():
        for frame in frames:
            try:
                image = localizer.encode(frame.image(), frame.camera)
            except AcegError:
                continue
            for each in (image, image.half):
                if each is None:
                    continue
                answer = localizer.localize_encoded(each)
                samples.append(_sample(answer, scene.place, group, frame.world_from_cam))
    return samples


def _sample(
    answer: Localization | LocalizationFailure,
    place: str,
    group: str,
    world_from_cam: np.ndarray | None,
) -> Sample:
    found = isinstance(answer, Localization)
    right = gross = False
    if isinstance(answer, Localization):
        right = world_from_cam is not None and is_right(answer, world_from_cam)
        gross = world_from_cam is None or is_gross(answer, world_from_cam)
    return Sample(place, group, found, right, gross, answer.evidence)


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Write samples as JSON, atomically."""
    text = json.dumps([asdict(sample) for sample in samples])
    write_atomically(path, text.encode())


def read_samples(path: Path) -> list[Sample]:
    """Read what `write_samples` wrote; raises ConfigError for anything else."""
    try:
        samples = [Sample(**values) for values in json.loads(path.read_text(encoding='utf-8'))]
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f'{path} holds no samples of poses ({error})') from error
    if any(sample.found and tuple(sample.evidence) != EVIDENCE for sample in samples):
        raise ConfigError(f'the samples in {path} have other evidence; make them again')
    return samples
