"""Several maps at once: floors of a building, or the parts of a place too large for one map.

The image says which one it is in: image -> encoder -> maps that look like it -> their localizers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from aceg_ros.encoder.descriptor import global_descriptor
from aceg_ros.engine import Engines, Networks
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import pose_error
from aceg_ros.localization.encoded import EncodedImage
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.options import LocalizationOptions, SeveralOptions
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
from aceg_ros.maps.file import read_map
from aceg_ros.maps.folder import maps_at
from aceg_ros.memory import ON_THE_CPU

_LOG = logging.getLogger(__name__)
_ENCODE = 'encode'  # stage of a query
_UNKNOWN = math.inf  # how much a map without descriptors looks like an image: it has to be asked
# Poses of two parts are of one place within this, of the distance to the scene, and degrees.
_SAME_PLACE, _SAME_DEGREES = 0.1, 5.0
# How much the odds of a pose must exceed those of another pose in the same place. Of 72 images of a
# building, 6 had a second pose, all of them wrong; it was less likely by a factor of 50 to 1000.
_LIKELIER = 10.0


class MapSet:
    """Localizes images in whichever of several maps shows them.

    The map of the last answer is asked first, and alone as long as it answers. Where it refuses,
    those are asked whose keyframes look most like the image, and the surest answer is taken. Poses
    are in the frame of the map that `Localization.map_name` names.

    Maps with the same `MapInfo.place` are parts of one place, and their poses are in one frame. A
    pose in one of them is only given where no other part that was asked gives another that is
    nearly as likely.
    """

    def __init__(
        self,
        localizers: Mapping[str, Localizer],
        options: SeveralOptions | None = None,
        remember: bool = True,
    ):
        """By name; raises MapCodeError where there are none.

        Without ``remember`` each image is of its own, and the map of the last answer not asked
        first.
        """
        if not localizers:
            raise MapCodeError('no map is given; name one map at least')
        self.localizers = dict(localizers)
        self.last = ''  # the map of the last answer; empty before there was one
        self._options = options or SeveralOptions()
        self._remember = remember
        self._places = {name: each.code.info.place for name, each in localizers.items()}
        self._descriptors = {
            name: torch.from_numpy(each.code.descriptors) for name, each in localizers.items()
        }

    @classmethod
    def open(
        cls,
        paths: Iterable[str | Path],
        device: str = 'auto',
        options: LocalizationOptions | None = None,
        networks: Networks | None = None,
        remember: bool = True,
    ) -> MapSet:
        """The maps at ``paths``, of folders all that are in them, with the networks they name.

        A map's name is that of its file without the suffix. Raises MapCodeError for a map that
        cannot be read, a folder without maps or two maps of one name, WeightsError where a network
        is missing.
        """
        engines = Engines(device)
        localizers: dict[str, Localizer] = {}
        for name, path in maps_at(paths).items():
            code = read_map(path)
            engine = engines.load((networks or Networks()).for_map(code.info))
            localizers[name] = Localizer(code, engine, options)
        return cls(localizers, None if options is None else options.several, remember)

    @property
    def note(self) -> str:
        """What it had to do to go on working."""
        return next((each.note for each in self.localizers.values() if each.note), '')

    def localize(
        self,
        image: np.ndarray,
        camera: Camera,
        prior: np.ndarray | None = None,
        first: str | None = None,
    ) -> Localization | LocalizationFailure:
        """See `Localizer.localize`; ``prior`` is in the frame of the map that is asked first.

        ``first`` names that map, or a place, of which it is the part of the last answer. Without
        it, that is the map of the last answer; empty, or the name of none of the maps, has those
        asked that look like the image. A refusal is that of the map which came nearest to an
        answer, or `Reason.AMBIGUOUS` where two parts of a place give different poses. `seconds`
        are those of all maps that were asked.
        """
        first = self.last if first is None else first
        if self._places.get(self.last) == first != '':
            first = self.last
        try:
            return self._localize(image, camera, prior, first)
        except torch.cuda.OutOfMemoryError:
            if self.note:
                raise
        _LOG.warning(ON_THE_CPU)
        for localizer in self.localizers.values():
            localizer.leave_gpu()
        return self._localize(image, camera, prior, first)

    def ranked(self, image: np.ndarray, camera: Camera) -> list[str]:
        """Maps by how much one of their keyframes looks like an image, the most alike first."""
        return _Question(self.localizers, image, camera).ranked(self._descriptors)

    def _localize(
        self, image: np.ndarray, camera: Camera, prior: np.ndarray | None, first: str
    ) -> Localization | LocalizationFailure:
        question = _Question(self.localizers, image, camera)
        asked_first = first in self.localizers
        if asked_first and question.ask(first, prior):
            rest = [] if prior is not None else self._rivals(question, first)
        else:
            rest = self._likely(question, first)
        for name in rest:
            question.ask(name)
        answers = question.answers
        surest = max(answers, key=lambda name: _rank(answers[name]))
        answer = answers[surest]
        if isinstance(answer, Localization):
            for name, other in answers.items():
                if self._places[name] == self._places[surest] != '' and _contests(other, answer):
                    return LocalizationFailure(
                        Reason.AMBIGUOUS,
                        f'{surest} and {name} both show it, at different places',
                        question.seconds,
                        answer.confidence,
                        answer.evidence,
                    )
            if self._remember:
                self.last = surest
            return replace(answer, map_name=surest, seconds=question.seconds)
        message = answer.message
        if len(self.localizers) > 1:
            message = f'none of {len(self.localizers)} maps; nearest, {surest}: {message}'
        return replace(answer, message=message, seconds=question.seconds)

    def _rivals(self, question: _Question, answered: str) -> list[str]:
        """Parts of the same place that look more like the image than the one that answered."""
        place = self._places[answered]
        if not place:
            return []
        ranked = [n for n in question.ranked(self._descriptors) if self._places[n] == place]
        return ranked[: ranked.index(answered)][: self._options.asked - 1]

    def _likely(self, question: _Question, but: str) -> list[str]:
        """The maps to ask, all of those of which nothing is known and the likeliest others."""
        if len(self.localizers) <= self._options.asked:
            return [name for name in self.localizers if name != but]
        names, left = [], self._options.asked
        for name in question.ranked(self._descriptors):
            known = question.likeness(self._descriptors)[name] != _UNKNOWN
            if name != but and (not known or left > 0):
                names.append(name)
                left -= known
        return names


@dataclass
class _Question:
    """One image, and what maps say of it."""

    localizers: Mapping[str, Localizer]
    image: np.ndarray
    camera: Camera
    answers: dict[str, Localization | LocalizationFailure] = field(default_factory=dict)
    _encoded: dict[tuple[str, int | None], EncodedImage] = field(default_factory=dict)
    _likeness: dict[str, float] = field(default_factory=dict)

    def ask(self, name: str, prior: np.ndarray | None = None) -> bool:
        """Ask a map; whether it gives a pose."""
        encoded = self._encode(self.localizers[name])
        self.answers[name] = self.localizers[name].localize_encoded(encoded, prior)
        return bool(self.answers[name])

    def ranked(self, descriptors: Mapping[str, torch.Tensor]) -> list[str]:
        """Names of maps, the one that looks most like the image first."""
        likeness = self.likeness(descriptors)
        return sorted(likeness, key=likeness.__getitem__, reverse=True)

    def likeness(self, descriptors: Mapping[str, torch.Tensor]) -> dict[str, float]:
        """By map, the cosine of its keyframe most like the image; _UNKNOWN without descriptors."""
        if not self._likeness:
            own: dict[tuple[str, int | None], torch.Tensor] = {}
            for name, localizer in self.localizers.items():
                if not descriptors[name].any():
                    self._likeness[name] = _UNKNOWN
                    continue
                if localizer.encoding not in own:
                    features = self._encode(localizer).patches.features
                    own[localizer.encoding] = global_descriptor(features).cpu()
                alike = descriptors[name] @ own[localizer.encoding]
                self._likeness[name] = float(alike.max())
        return self._likeness

    @property
    def seconds(self) -> dict[str, float]:
        """Time of each stage over all maps; each encoding counts once."""
        total = {_ENCODE: sum(each.seconds for each in self._encoded.values())}
        for answer in self.answers.values():
            for stage, seconds in answer.seconds.items():
                if stage != _ENCODE:
                    total[stage] = total.get(stage, 0.0) + seconds
        return total

    def _encode(self, localizer: Localizer) -> EncodedImage:
        if localizer.encoding not in self._encoded:
            self._encoded[localizer.encoding] = localizer.encode(self.image, self.camera)
        return self._encoded[localizer.encoding]


def _contests(other: Localization | LocalizationFailure, answer: Localization) -> bool:
    """Whether another pose than that of the answer is given, which is nearly as likely."""
    if not isinstance(other, Localization):
        return False
    distance, degrees = map(float, pose_error(other.world_from_cam, answer.world_from_cam))
    elsewhere = distance > _SAME_PLACE * answer.scene_distance or degrees > _SAME_DEGREES
    # of poses without a confidence none is likelier
    return elsewhere and not _odds(answer.confidence) >= _LIKELIER * _odds(other.confidence)


def _odds(probability: float) -> float:
    return probability / max(1 - probability, 1e-9)


def _rank(answer: Localization | LocalizationFailure) -> tuple[bool, float]:
    """Answers before refusals, each by confidence; where none is known, by agreeing matches."""
    sure = answer.confidence
    if isinstance(answer, Localization) and math.isnan(sure):
        sure = float(answer.inliers.mean())
    return bool(answer), 0.0 if math.isnan(sure) else sure
