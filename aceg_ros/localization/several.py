"""Several maps at once: floors of a building, or the parts of a place too large for one map.

The image says which one it is in: image -> encoder -> maps that look like it -> their localizers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from aceg_ros.encoder.descriptor import global_descriptor
from aceg_ros.engine import Engines, Networks
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import pose_error
from aceg_ros.geometry.rigs import Rig
from aceg_ros.localization.depth import require_meters
from aceg_ros.localization.encoded import EncodedImage
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.options import LocalizationOptions, SeveralOptions
from aceg_ros.localization.query import Query
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
from aceg_ros.localization.verification import odds_of
from aceg_ros.maps.code import MapCode
from aceg_ros.maps.file import read_map
from aceg_ros.maps.folder import maps_at
from aceg_ros.memory import ON_THE_CPU

_LOG = logging.getLogger(__name__)
_ENCODE = 'encode'  # stage of a query
_UNKNOWN = math.inf  # how much a map without descriptors looks like an image: it has to be asked
# Poses of two parts are of one place within this, of the distance to the scene, and degrees.
_SAME_PLACE, _SAME_DEGREES = 0.1, 5.0
# How likely an answer is: its odds, by the confidence, and how much the map looks like the image.
# Odds above 100 say no more where places look alike. A cosine greater by 0.1 counts as much as odds
# ten times as high, and the answer must be 30 times as likely as another one in the same place.
# Chosen on the buildings 100 and 101 of "aceg building-benchmark"; 101 has three rooms furnished
# alike.
_MOST_ODDS, _SIMILAR, _LEAD = 100.0, 0.1, 30.0


class MapSet:
    """Localizes images in whichever of several maps shows them.

    The map of the last answer is asked first, and alone as long as it answers. Where it refuses,
    those are asked whose keyframes look most like the image, and the likeliest answer is taken.
    Poses are in the frame of the map that `Localization.map_name` names.

    Maps with the same `MapInfo.place` are parts of one place, and their poses are in one frame. A
    pose in one of them is only given where no other part gives another that is nearly as likely.
    With a prior, the place is known, and the part that is asked first may answer alone.
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
        self._last_parts: dict[str, str] = {}  # of each place the part of its last answer
        self._options = options or SeveralOptions()
        self._remember = remember
        self._places = {name: each.code.info.place for name, each in localizers.items()}
        self._descriptors = {name: _descriptors(each.code) for name, each in localizers.items()}

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
        depth: np.ndarray | None = None,
    ) -> Localization | LocalizationFailure:
        """As `localize_rig`, of one image."""
        return self.localize_rig(
            [image], Rig.single(camera), prior=prior, first=first, depths=[depth]
        )

    def localize_rig(
        self,
        images: Sequence[np.ndarray | None],
        rig: Rig,
        now_from_then: Sequence[np.ndarray] | None = None,
        prior: np.ndarray | None = None,
        first: str | None = None,
        depths: Sequence[np.ndarray | None] | None = None,
    ) -> Localization | LocalizationFailure:
        """See `Localizer.localize_rig`; ``prior`` is in the frame of the map that is asked first.

        ``first`` names that map, or a place, of which it is the part of the last answer. Without
        it, that is the map of the last answer; empty, or the name of none of the maps, has those
        asked that look like the image. A refusal is that of the map which came nearest to an
        answer, or `Reason.AMBIGUOUS` where two parts of a place give different poses. `seconds`
        are those of all maps that were asked. Raises MapCodeError for depth where a map's unit is
        not the meter.
        """
        first = self.last if first is None else self.last_of(first)
        query = Query.of(images, rig, now_from_then, depths)
        if any(depth is not None for depth in query.depths):
            for name, localizer in self.localizers.items():
                require_meters(localizer.code, name)
        try:
            return query.named(self._localize(query, prior, first))
        except torch.cuda.OutOfMemoryError:
            if self.note:
                raise
        _LOG.warning(ON_THE_CPU)
        for localizer in self.localizers.values():
            localizer.leave_gpu()
        return query.named(self._localize(query, prior, first))

    def last_of(self, name: str) -> str:
        """The part of the last answer in a place; the name itself of a map, and before that."""
        return self._last_parts.get(name, name)

    def ranked(self, image: np.ndarray, camera: Camera) -> list[str]:
        """Maps by how much one of their keyframes looks like an image, the most alike first."""
        query = Query.of([image], Rig.single(camera))
        return _Question(self.localizers, self._descriptors, query).ranked()

    def _localize(
        self, query: Query, prior: np.ndarray | None, first: str
    ) -> Localization | LocalizationFailure:
        question = _Question(self.localizers, self._descriptors, query)
        answered = first in self.localizers and question.ask(first, prior)
        if not answered or prior is None:
            place = self._places[first] if answered else None
            for name in self._likely(question, first, place):
                if question.matters(name):
                    question.ask(name)
        best = question.best
        answer = question.answers[best]
        if isinstance(answer, Localization):
            for name in question.given:
                same_place = self._places[name] == self._places[best] != ''
                if same_place and question.contests(name, best):
                    return LocalizationFailure(
                        Reason.AMBIGUOUS,
                        f'{best} and {name} both show it, at different places',
                        question.seconds,
                        answer.confidence,
                        answer.evidence,
                    )
            if self._remember:
                self.last = best
                if place := self._places[best]:
                    self._last_parts[place] = best
            return replace(answer, map_name=best, seconds=question.seconds)
        message = answer.message
        if len(self.localizers) > 1:
            message = f'none of {len(self.localizers)} maps; nearest, {best}: {message}'
        return replace(answer, message=message, seconds=question.seconds)

    def _likely(self, question: _Question, but: str, place: str | None) -> list[str]:
        """The maps to ask, the likeliest first: so many, and all of which nothing is known.

        With a ``place`` only its parts; an empty one has none.
        """
        if place == '':
            return []
        names, left = [], self._options.asked - (place is not None)
        for name in question.ranked():
            if name == but or place not in (None, self._places[name]):
                continue
            known = question.similarity[name] != _UNKNOWN
            if left > 0 or not known:
                names.append(name)
                left -= known
        return names


class _Question:
    """The images of one pose, and what maps say of them."""

    def __init__(
        self,
        localizers: Mapping[str, Localizer],
        descriptors: Mapping[str, torch.Tensor],
        query: Query,
    ):
        self.answers: dict[str, Localization | LocalizationFailure] = {}
        self._localizers = localizers
        self._descriptors = descriptors
        self._query = query
        self._encoded: dict[tuple[str, int | None], list[EncodedImage]] = {}

    def ask(self, name: str, prior: np.ndarray | None = None) -> bool:
        """Ask a map; whether it gives a pose."""
        encoded = self._encode(self._localizers[name])
        mounts = self._query.rig_from_cam
        turns = next((answer.turns for answer in self.given.values()), None)
        localizer = self._localizers[name]
        self.answers[name] = localizer.localize_encoded_rig(encoded, mounts, prior, turns or None)
        return bool(self.answers[name])

    @cached_property
    def similarity(self) -> dict[str, float]:
        """By map, the cosine of its keyframe most like the image; _UNKNOWN without descriptors.

        The mean over the images of a rig.
        """
        similarity, own = {}, {}
        for name, localizer in self._localizers.items():
            similarity[name] = _UNKNOWN
            if len(self._descriptors[name]):
                if localizer.encoding not in own:
                    features = [each.patches.features for each in self._encode(localizer)]
                    described = [global_descriptor(each).cpu() for each in features]
                    own[localizer.encoding] = torch.stack(described, dim=1)
                alike = self._descriptors[name] @ own[localizer.encoding]  # keyframes, images
                similarity[name] = float(alike.max(dim=0).values.mean())
        return similarity

    def ranked(self) -> list[str]:
        """Names of maps, the one that looks most like the image first."""
        return sorted(self.similarity, key=self.similarity.__getitem__, reverse=True)

    @property
    def given(self) -> dict[str, Localization]:
        """The poses that were given, by map."""
        return {
            name: answer
            for name, answer in self.answers.items()
            if isinstance(answer, Localization)
        }

    @property
    def best(self) -> str:
        """The map of the likeliest pose; without any, of the likeliest that was refused."""
        if len(self.given) > 1:
            return max(self.given, key=lambda name: (self._weight(name), self._confidence(name)))
        return max(self.given or self.answers, key=self._confidence)

    def matters(self, name: str) -> bool:
        """Whether the answer of a map, however sure, could change what is given."""
        if not self.given or self.similarity[name] == _UNKNOWN:
            return True
        highest = self._log_weight(_MOST_ODDS, self.similarity[name])
        return highest > self._weight(self.best) - math.log10(_LEAD)

    def contests(self, other: str, best: str) -> bool:
        """Whether a pose is another one than the best, and nearly as likely."""
        pose, its_pose = self.given[best], self.given[other]
        distance, degrees = map(float, pose_error(its_pose.world_from_cam, pose.world_from_cam))
        elsewhere = distance > _SAME_PLACE * pose.scene_distance or degrees > _SAME_DEGREES
        return elsewhere and self._weight(best) - self._weight(other) < math.log10(_LEAD)

    @property
    def seconds(self) -> dict[str, float]:
        """Time of each stage over all maps; each encoding counts once."""
        encoded = [image for images in self._encoded.values() for image in images]
        total = {_ENCODE: sum(image.seconds for image in encoded)}
        for answer in self.answers.values():
            for stage, seconds in answer.seconds.items():
                if stage != _ENCODE:
                    total[stage] = total.get(stage, 0.0) + seconds
        return total

    def _weight(self, name: str) -> float:
        return self._log_weight(odds_of(self._confidence(name)), self.similarity[name])

    def _log_weight(self, odds: float, similarity: float) -> float:
        # what is not known of one map cannot count for another
        counted = 0.0 if _UNKNOWN in self.similarity.values() else similarity
        return math.log10(min(odds, _MOST_ODDS)) + counted / _SIMILAR

    def _confidence(self, name: str) -> float:
        """Of a map's answer; where none is known, the share of agreeing matches."""
        answer = self.answers[name]
        if isinstance(answer, Localization) and math.isnan(answer.confidence):
            return float(answer.inliers.mean())
        return 0.0 if math.isnan(answer.confidence) else answer.confidence

    def _encode(self, localizer: Localizer) -> list[EncodedImage]:
        if localizer.encoding not in self._encoded:
            query = self._query
            parts = zip(query.images, query.cameras, query.depths, strict=True)
            self._encoded[localizer.encoding] = [localizer.encode(*part) for part in parts]
        return self._encoded[localizer.encoding]


def _descriptors(code: MapCode) -> torch.Tensor:
    """Those of its keyframes; none where some have none, because the image may show these."""
    rows = torch.from_numpy(code.descriptors)
    return rows if rows.any(dim=1).all() else rows[:0]
