"""Where am I? Images, their cameras and a map code in; a pose with covariance, or a reason, out.

One image is localized as a rig of one camera, whose frame is the rig's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from aceg_ros.encoder.base import similarity
from aceg_ros.engine import Engine
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import shifted
from aceg_ros.geometry.rigs import Rig
from aceg_ros.localization.clock import Clock
from aceg_ros.localization.depth import check_depth, require_meters
from aceg_ros.localization.encoded import EncodedImage, encoded_patches
from aceg_ros.localization.finder import PoseFinder
from aceg_ros.localization.options import LocalizationOptions
from aceg_ros.localization.query import Query
from aceg_ros.localization.recorded import RecordedFrame
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
from aceg_ros.localization.verification import ConfidenceModel
from aceg_ros.maps.code import MapCode
from aceg_ros.maps.file import read_map
from aceg_ros.memory import ON_THE_CPU
from aceg_ros.readers.registry import reader_of
from aceg_ros.threads import query_threads, threads

_LOG = logging.getLogger(__name__)


class Localizer:
    """Localizes images in one map: encode, predict, search, align, verify."""

    def __init__(
        self,
        code: MapCode,
        engine: Engine,
        options: LocalizationOptions | None = None,
        model: ConfidenceModel | None = None,
    ):
        """Without a ``model`` the one that is shipped weighs the evidence.

        Raises MapCodeError when the map was made with other networks than ``engine`` has,
        WeightsError when there is no model.
        """
        self.code = code
        self.options = options or LocalizationOptions()
        self.note = ''  # what it had to do to go on working
        self._engine = engine
        self._encoder = engine.encoder
        self._model = model or ConfidenceModel.load()
        self._recorded = RecordedFrame(code)
        self._begin_reading()

    @classmethod
    def open(
        cls, path: str | Path, device: str = 'auto', options: LocalizationOptions | None = None
    ) -> Localizer:
        """A localizer in the map at ``path``, with the networks that the map names.

        Raises MapCodeError for a map that cannot be read, WeightsError where a network is missing.
        """
        code = read_map(path)
        return cls(code, Engine.for_map(code.info, device), options)

    def localize(
        self,
        image: np.ndarray,
        camera: Camera,
        prior: np.ndarray | None = None,
        depth: np.ndarray | None = None,
    ) -> Localization | LocalizationFailure:
        """The pose of ``image`` (H, W, 3) uint8 RGB, or a refusal.

        ``prior`` (4, 4) is a guess of world_from_cam, and may be wrong. ``depth`` (H, W) float was
        measured along z with the image and is registered to it: meters, 0 or nan where unknown. A
        pose that it contradicts is refused. Poses and points are in the frame of the mapping poses.
        Raises ImageError when image or depth is no such array, or has another size than ``camera``.
        Raises MapCodeError for depth in a map whose unit is not the meter.
        """
        return self._with_memory(
            lambda: self.localize_encoded(self.encode(image, camera, depth), prior)
        )

    @property
    def device(self) -> torch.device:
        """Where it works."""
        return self._encoder.device

    @property
    def threads(self) -> int:
        """How many threads its networks work with."""
        return query_threads(self._encoder.short_steps)

    def leave_gpu(self) -> None:
        """Move the networks to the CPU; every localizer that shares them has to do the same.

        Images that were encoded before cannot be used any more.
        """
        self.note = ON_THE_CPU
        self._engine.to(torch.device('cpu'))
        torch.cuda.empty_cache()
        self._begin_reading()

    def encode(
        self, image: np.ndarray, camera: Camera, depth: np.ndarray | None = None
    ) -> EncodedImage:
        """The image as maps are asked for it; raises ImageError as `localize` does.

        Other localizers with the same `encoding` take it too.
        """
        clock = Clock()
        if depth is not None:
            check_depth(depth, camera)
        encode = partial(encoded_patches, self._encoder, self._reader.max_patches)
        view, view_camera = self._encoder.view(image, camera)
        with threads(self.threads):
            (patches,) = encode([view], [view_camera])
        clock.lap('encode')
        seconds = clock.seconds['encode']
        return EncodedImage(camera, view, view_camera, patches, encode, seconds, depth=depth)

    @property
    def encoding(self) -> tuple[str, int | None]:
        """What an encoded image depends on: the encoder, and how many patches the map is asked."""
        return self._encoder.identity, self._reader.max_patches

    def localize_encoded(
        self, encoded: EncodedImage, prior: np.ndarray | None = None
    ) -> Localization | LocalizationFailure:
        """As `localize`, of an image that a localizer with the same `encoding` has encoded.

        An image that is refused as it is may be found turned: its camera was rolled.
        """
        return self.localize_encoded_rig([encoded], np.eye(4)[None], prior)

    def localize_rig(
        self,
        images: Sequence[np.ndarray | None],
        rig: Rig,
        now_from_then: Sequence[np.ndarray] | None = None,
        prior: np.ndarray | None = None,
        depths: Sequence[np.ndarray | None] | None = None,
    ) -> Localization | LocalizationFailure:
        """The pose world_from_rig from an image of each of the rig's cameras, or a refusal.

        ``images`` are in the order of the cameras, None of a camera that has none. Images of
        another time than the pose is asked for come with how the rig moved since: `now_from_then`
        (4, 4) of each, from odometry. A blank image is left out. ``prior`` (4, 4) is a guess of
        world_from_rig. ``depths`` are those of the images, as for `localize`. Raises what that
        does, and ImageError without any image.
        """
        query = Query.of(images, rig, now_from_then, depths)

        def localize() -> Localization | LocalizationFailure:
            parts = zip(query.images, query.cameras, query.depths, strict=True)
            encoded = [self.encode(*part) for part in parts]
            return self.localize_encoded_rig(encoded, query.rig_from_cam, prior)

        return query.named(self._with_memory(localize))

    def localize_encoded_rig(
        self,
        images: Sequence[EncodedImage],
        rig_from_cam: np.ndarray,
        prior: np.ndarray | None = None,
        turns: Sequence[int] | None = None,
    ) -> Localization | LocalizationFailure:
        """As `localize_rig`, of N encoded images of cameras at ``rig_from_cam`` (N, 4, 4).

        `Localization.cameras` counts the images given. Images that are refused as they are may be
        found turned. ``turns`` (N) are those after which another map knew them, see `Localization`;
        no others are tried then, and no other size. Raises MapCodeError as `localize` does.
        """
        clock = Clock()
        if self._read_on != self.device:  # another localizer took the networks from the GPU
            self._begin_reading()
        if any(image.depth is not None for image in images):
            require_meters(self.code, 'this map')
        clock.seconds['encode'] = sum(image.seconds for image in images)
        shown = [
            index
            for index, image in enumerate(images)
            if similarity(image.patches.features) <= self._encoder.max_similarity
        ]
        if not shown:
            return LocalizationFailure(
                Reason.FEATURELESS,
                'all parts of the image look alike: it is blank, too dark, overexposed or blurred',
                clock.seconds,
            )
        if prior is not None:
            prior = shifted(prior, -np.array(self.code.info.origin))
        count = len(images)
        known = [self.code.info.known_camera(images[index].camera) for index in shown]
        images = [
            images[index].taken_by(each.camera) for index, each in zip(shown, known, strict=True)
        ]
        rig_from_cam = rig_from_cam[shown] @ [each.given_from_cam for each in known]
        only = None if turns is None else [turns[index] for index in shown]
        with threads(self.threads):
            answer, tried = self._finder.find(images, rig_from_cam, prior, clock, only)
        if not isinstance(answer, Localization) or answer.cameras is None:
            return answer
        all_turns = np.zeros(count, int)
        all_turns[shown] = tried
        found = replace(
            answer, cameras=np.array(shown)[answer.cameras], turns=tuple(all_turns.tolist())
        )
        seen_from = found.world_from_cam @ rig_from_cam[answer.cameras[0]]
        recorded_from_map = self._recorded.from_map(seen_from)
        return found.transformed(shifted(recorded_from_map, self.code.info.origin))

    def _begin_reading(self) -> None:
        self._read_on = self.device
        self._reader = reader_of(self.code, self._engine, self.options.reader)
        self._finder = PoseFinder(self._reader, self.options, self._model)

    def _with_memory(
        self, localize: Callable[[], Localization | LocalizationFailure]
    ) -> Localization | LocalizationFailure:
        """What ``localize`` gives; on the CPU where the GPU has too little memory."""
        try:
            return localize()
        except torch.cuda.OutOfMemoryError:
            if self.note:
                raise
        _LOG.warning(ON_THE_CPU)
        self.leave_gpu()
        return localize()
