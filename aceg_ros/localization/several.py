"""Several maps at once, such as floors of a building: the image says which one it is in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from aceg_ros.engine import Engine, Networks
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.localization.localizer import EncodedImage, Localizer
from aceg_ros.localization.options import LocalizationOptions
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.maps.code import SUFFIX
from aceg_ros.maps.file import read_map


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
        cannot be read or two of one name, WeightsError where a network is missing.
        """
        engines: dict[Networks, Engine] = {}
        localizers: dict[str, Localizer] = {}
        for path in map_files(paths):
            if path.stem in localizers:
                raise MapCodeError(f'two of the maps are called {path.stem}; rename one of them')
            code = read_map(path)
            wanted = Networks().for_map(code.info)
            if wanted not in engines:
                engines[wanted] = Engine.load(device, wanted)
            localizers[path.stem] = Localizer(code, engines[wanted], options)
        return cls(localizers)

    def localize(
        self, image: np.ndarray, camera: Camera, prior: np.ndarray | None = None
    ) -> Localization | LocalizationFailure:
        """See `Localizer.localize`; ``prior`` is in the frame of the last answer's map.

        A refusal is that of the map which came nearest to an answer.
        """
        encoded: dict[tuple[str, int | None], EncodedImage] = {}

        def ask(name: str, prior: np.ndarray | None) -> Localization | LocalizationFailure:
            localizer = self.localizers[name]
            if localizer.encoding not in encoded:
                encoded[localizer.encoding] = localizer.encode(image, camera)
            return localizer.localize_encoded(encoded[localizer.encoding], prior)

        answers: dict[str, Localization | LocalizationFailure] = {}
        if self.last:
            answers[self.last] = ask(self.last, prior)
        if not answers or not answers[self.last]:
            others = [name for name in self.localizers if name != self.last]
            answers |= {name: ask(name, None) for name in others}
        surest = max(answers, key=lambda name: _rank(answers[name]))
        answer = answers[surest]
        if isinstance(answer, Localization):
            self.last = surest
            return replace(answer, map_name=surest)
        if len(answers) == 1:
            return answer
        message = f'none of {len(answers)} maps; nearest, {surest}: {answer.message}'
        return replace(answer, message=message)


def map_files(paths: Iterable[str | Path]) -> list[Path]:
    """The files of maps; of a folder all in it, by name. Raises MapCodeError for an empty one."""
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(path.glob(f'*{SUFFIX}'))
        if not inside:
            raise MapCodeError(f'there is no map in the folder {path}; put *{SUFFIX} files there')
        found += inside
    return found


def _rank(answer: Localization | LocalizationFailure) -> tuple[bool, float]:
    """Answers before refusals, each by confidence; where none is known, by agreeing matches."""
    sure = answer.confidence
    if isinstance(answer, Localization) and math.isnan(sure):
        sure = float(answer.inliers.mean())
    return bool(answer), 0.0 if math.isnan(sure) else sure
