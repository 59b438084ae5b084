"""Several maps at once, such as floors of a building: the image says which one it is in."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from aceg_ros.engine import Engines, Networks
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.localization.encoded import EncodedImage
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.options import LocalizationOptions
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.maps.file import read_map
from aceg_ros.maps.folder import maps_at
from aceg_ros.memory import ON_THE_CPU

_LOG = logging.getLogger(__name__)
_ENCODE = 'encode'  # stage of a query


class MapSet:
    """Localizes images in whichever of several maps shows them.

    The map of the last answer is asked first, and alone as long as it answers. Where it refuses,
    all others are asked, and the surest answer is taken. Poses are in the frame of the map that
    `Localization.map_name` names.
    """

    def __init__(self, localizers: Mapping[str, Localizer]):
        """By name; raises MapCodeError where there are none."""
        if not localizers:
            raise MapCodeError('no map is given; name one map at least')
        self.localizers = dict(localizers)
        self.last = ''  # the map of the last answer; empty before there was one

    @classmethod
    def open(
        cls,
        paths: Iterable[str | Path],
        device: str = 'auto',
        options: LocalizationOptions | None = None,
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
            engine = engines.load(Networks().for_map(code.info))
            localizers[name] = Localizer(code, engine, options)
        return cls(localizers)

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

        ``first`` names that map. Without it, that is the map of the last answer; empty, or the name
        of none of the maps, has all of them asked. A refusal is that of the map which came nearest
        to an answer. `seconds` are those of all maps that were asked.
        """
        first = self.last if first is None else first
        try:
            return self._localize(image, camera, prior, first)
        except torch.cuda.OutOfMemoryError:
            if self.note:
                raise
        _LOG.warning(ON_THE_CPU)
        for localizer in self.localizers.values():
            localizer.leave_gpu()
        return self._localize(image, camera, prior, first)

    def _localize(
        self, image: np.ndarray, camera: Camera, prior: np.ndarray | None, first: str
    ) -> Localization | LocalizationFailure:
        encoded: dict[tuple[str, int | None], EncodedImage] = {}
        answers: dict[str, Localization | LocalizationFailure] = {}

        def ask(name: str, prior: np.ndarray | None) -> bool:
            localizer = self.localizers[name]
            if localizer.encoding not in encoded:
                encoded[localizer.encoding] = localizer.encode(image, camera)
            answers[name] = localizer.localize_encoded(encoded[localizer.encoding], prior)
            return bool(answers[name])

        if first not in self.localizers or not ask(first, prior):
            for name in self.localizers:
                if name != first:
                    ask(name, None)
        surest = max(answers, key=lambda name: _rank(answers[name]))
        answer = answers[surest]
        seconds = _seconds(encoded.values(), answers.values())
        if isinstance(answer, Localization):
            self.last = surest
            return replace(answer, map_name=surest, seconds=seconds)
        message = answer.message
        if len(answers) > 1:
            message = f'none of {len(answers)} maps; nearest, {surest}: {message}'
        return replace(answer, message=message, seconds=seconds)


def _seconds(
    encoded: Iterable[EncodedImage], answers: Iterable[Localization | LocalizationFailure]
) -> dict[str, float]:
    """Time of each stage over all maps; each encoding counts once."""
    total = {_ENCODE: sum(each.seconds for each in encoded)}
    for answer in answers:
        for stage, seconds in answer.seconds.items():
            if stage != _ENCODE:
                total[stage] = total.get(stage, 0.0) + seconds
    return total


def _rank(answer: Localization | LocalizationFailure) -> tuple[bool, float]:
    """Answers before refusals, each by confidence; where none is known, by agreeing matches."""
    sure = answer.confidence
    if isinstance(answer, Localization) and math.isnan(sure):
        sure = float(answer.inliers.mean())
    return bool(answer), 0.0 if math.isnan(sure) else sure
