"""Posed images in, an anchored code out."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.engine import Engine
from aceg_ros.errors import FitError
from aceg_ros.geometry.poses import shifted
from aceg_ros.landmarks.landmarks import Landmarks
from aceg_ros.localization.recorded import RecordedFrame
from aceg_ros.mapping.adjustment import adjust_poses
from aceg_ros.mapping.buffer import fill_buffer
from aceg_ros.mapping.consistency import consistent_frames
from aceg_ros.mapping.fit import FitStart, fit_code
from aceg_ros.mapping.info import new_map_info
from aceg_ros.mapping.keyframes import (
    Keyframe,
    encode_changed_copies,
    encode_keyframes,
    taken_by,
)
from aceg_ros.mapping.landmarks import make_landmarks
from aceg_ros.mapping.options import MIN_KEYFRAMES, FitOptions, MappingOptions
from aceg_ros.mapping.origin import local_frames
from aceg_ros.mapping.placement import place_candidates
from aceg_ros.mapping.result import FitHistory, MappingResult, OnFirstMap
from aceg_ros.mapping.selection import select_keyframes
from aceg_ros.mapping.sweep import Candidates, SceneDepths, scene_depths, sweep, sweep_again
from aceg_ros.mapping.tokens import anchored_code, choose_tokens
from aceg_ros.mapping.validation import held_out_frames, validate_map
from aceg_ros.mapping.views import ViewPairs, compare_views
from aceg_ros.maps.code import AnchoredCode, KnownCamera, MapInfo
from aceg_ros.maps.sessions import joined
from aceg_ros.monitor import Monitor
from aceg_ros.regressor.anchored import AnchoredRegressor, AnchoredTensors

_CANDIDATES_PER_TOKEN = 2.5
_MIN_CANDIDATES = 60  # per keyframe
_RESERVE = 0.08  # of the budget, kept for validating the map
_FIRST_PART = 0.5  # of the patches, to which a first map is fitted
_LEAST_FIT = 0.2  # of the budget, for the fit itself: slow encoding must leave it some time


def map_anchored(
    frames: Sequence[Frame],
    engine: Engine,
    options: MappingOptions,
    metric: bool,
    monitor: Monitor,
    on_first_map: OnFirstMap | None = None,
    session: str = '',
    base: AnchoredCode | None = None,
) -> MappingResult:
    """See `mapping.mapper.map_scene`; ``base`` is a map that the new one becomes a part of."""
    regressor: AnchoredRegressor = engine.regressor  # type: ignore[assignment]
    encoder = engine.encoder
    began = time.monotonic()
    generator = torch.Generator().manual_seed(options.seed)

    if len(frames) < MIN_KEYFRAMES:
        raise FitError(
            f'{len(frames)} images, but a map needs at least {MIN_KEYFRAMES}: record more views of '
            'the place, from different positions'
        )
    selected = select_keyframes(frames, options.max_keyframes)
    chosen, lost, notes = consistent_frames(selected, monitor)
    mapped, kept_out = held_out_frames(chosen, options.validation)
    mapped, origin = local_frames(mapped)
    keyframes, skipped = encode_keyframes(mapped, encoder, options.use_depth, monitor)
    skipped = lost + skipped
    cameras = [keyframe.frame.camera for keyframe in keyframes]
    known = {camera: KnownCamera(camera) for camera in cameras}
    adjustment = options.adjustment
    if base is not None:
        # Its maps are asked with the calibrations that it has.
        known = {camera: base.info.known_camera(camera) for camera in cameras}
        keyframes = [taken_by(keyframe, known[keyframe.frame.camera]) for keyframe in keyframes]
        keyframes = _in_map(keyframes, origin, base)
        adjustment = replace(adjustment, calibration_worth=0.0, mount_worth=0.0)
    if options.use_depth:
        notes.append(_depth_note(keyframes))
    start = start_code(keyframes, options, generator, monitor)

    def fit(deadline: float, how: FitOptions) -> tuple[AnchoredTensors, FitHistory]:
        buffer = fill_buffer(keyframes, how.buffer_patches, how.augmented)
        return fit_code(
            start.fit.to(encoder.device),
            buffer.to(encoder.device),
            regressor.to(encoder.device),
            how,
            options.seed,
            deadline,
            monitor,
        )

    def finished(fitted: AnchoredTensors, landmarks: Landmarks, skipped: list[str]) -> AnchoredCode:
        info = new_map_info(engine, known, metric, origin, session)
        code = _assemble(fitted, start, landmarks, keyframes, info)
        if base is not None:
            code = joined(base, code)
        return validate_map(
            code, kept_out, start.depths, engine, options.validation, skipped, monitor
        )

    adjusted = adjust_poses(
        keyframes,
        start.candidates,
        start.pairs,
        start.depths.median,
        adjustment,
        options.landmarks.min_corner,
        monitor,
    )
    if adjusted is not None:
        keyframes = adjusted.keyframes
        notes += adjusted.notes
        known = known if base is not None else adjusted.known
        start = start_code(keyframes, options, generator, monitor, start)
    landmarks = make_landmarks(
        keyframes,
        start.candidates,
        start.pairs,
        options.landmarks,
        options.sweep.good_parallax,
        options.seed,
        monitor,
    )
    if on_first_map is not None:
        # without adjusted poses it would give wrong ones, without landmarks inexact ones
        patches = int(_FIRST_PART * options.fit.buffer_patches)
        once = replace(options.fit, epochs=1, buffer_patches=patches)
        quick, _ = fit(began + options.budget, once)
        on_first_map(finished(quick, landmarks, []))
    start = start.at(
        place_candidates(
            keyframes,
            start.candidates,
            start.chosen,
            start.pairs,
            options.landmarks,
            options.sweep.good_parallax,
            monitor,
        )
    )
    keyframes = encode_changed_copies(
        keyframes,
        encoder,
        options.fit.buffer_patches // len(keyframes),
        np.random.default_rng(options.seed),
        monitor,
    )
    deadline = max(
        began + options.budget * (1 - _RESERVE), time.monotonic() + _LEAST_FIT * options.budget
    )
    before = time.monotonic() - began
    fitted, history = fit(deadline, options.fit)
    notes += _short_budget(options.budget, before, history)
    code = finished(fitted, landmarks, skipped)
    return MappingResult(code, history, skipped, time.monotonic() - began, notes)


@dataclass(frozen=True)
class CodeStart:
    """A code before its fit, and what it was made from, on the CPU."""

    depths: SceneDepths
    pairs: ViewPairs
    candidates: Candidates
    chosen: torch.Tensor  # (n,) which candidates became tokens
    fit: FitStart

    def at(self, candidates: Candidates) -> CodeStart:
        """The same, with the candidates elsewhere."""
        anchors = candidates.points3d[self.chosen].clone()
        fit = replace(self.fit, code=replace(self.fit.code, anchors=anchors))
        return replace(self, candidates=candidates, fit=fit)


def start_code(
    keyframes: Sequence[Keyframe],
    options: MappingOptions,
    generator: torch.Generator,
    monitor: Monitor,
    before: CodeStart | None = None,
) -> CodeStart:
    """Find first depths, and choose the tokens; raises FitError as `map_scene` does.

    ``before`` is that of the same keyframes at nearly the same poses.
    """
    tokens = options.code_size(len(keyframes))
    if before is None:
        depths = scene_depths(keyframes, options.sweep, monitor)
        pairs = compare_views(keyframes, depths.median)
        wanted = max(int(_CANDIDATES_PER_TOKEN * tokens / len(keyframes)) + 1, _MIN_CANDIDATES)
        candidates = sweep(keyframes, depths, pairs, wanted, options.sweep, monitor)
    else:
        depths, pairs = before.depths, before.pairs
        candidates = sweep_again(
            keyframes, before.candidates, depths, pairs, options.sweep, monitor
        )
    chosen = choose_tokens(candidates, depths, tokens, options.choice, generator)
    fit = FitStart(
        code=anchored_code(candidates, chosen, depths, options.choice.start_sigma),
        owner=candidates.keyframe[chosen],
        hidden=torch.from_numpy(_hidden_views(pairs, options.fit.near_view_angle)),
    )
    return CodeStart(depths, pairs, candidates, chosen, fit)


def _in_map(
    keyframes: Sequence[Keyframe], origin: Sequence[float], base: AnchoredCode
) -> list[Keyframe]:
    """Keyframes about an ``origin`` (3,) that were recorded in the frame that ``base`` answers in.

    Their poses are those in the map itself, whose poses may have been adjusted.
    """
    frame, offset = RecordedFrame(base), np.array(origin) - base.info.origin
    return [
        replace(each, world_from_cam=shifted(frame.to_map(shifted(each.recorded, offset)), -offset))
        for each in keyframes
    ]


def _depth_note(keyframes: Sequence[Keyframe]) -> str:
    known = [float((k.measured > 0).float().mean()) for k in keyframes if k.measured is not None]
    share = f', for {100 * np.mean(known):.0f} % of their patches' if known else ''
    return f'depth: {len(known)} of {len(keyframes)} keyframes have it{share}'


def _short_budget(budget: float, before: float, history: FitHistory) -> list[str]:
    """By which budget the fit, begun after ``before`` seconds, would have had all its steps."""
    if history.completed >= 1:
        return []
    needed = (before + history.seconds / history.completed) / (1 - _RESERVE)
    return [
        f'the fit had time for {100 * history.completed:.0f} % of its steps: a budget of '
        f'{5 * math.ceil(needed / 5)} s, not {budget:g}, would be enough here'
    ]


def _hidden_views(pairs: ViewPairs, near_view_angle: float) -> np.ndarray:
    """(2 K, K) bool: the keyframes that each group of the buffer must not read.

    An image as it was taken does not read its own tokens. Its changed copy does not read those of
    near views either, and so has to be recognized from afar. At most half of all keyframes are
    hidden that way, because slow recordings would lose them all.
    """
    count = len(pairs.overlap)
    near = (pairs.parallax < near_view_angle) & (pairs.overlap > 0.5)
    for row, angles in zip(near, pairs.parallax, strict=True):
        if row.sum() > count / 2:
            row &= angles <= np.median(angles)
    own = np.eye(count, dtype=bool)
    return np.stack([own, near | own], axis=1).reshape(-1, count)


def _assemble(
    fitted: AnchoredTensors,
    start: CodeStart,
    landmarks: Landmarks,
    keyframes: Sequence[Keyframe],
    info: MapInfo,
) -> AnchoredCode:
    return AnchoredCode(
        embeddings=torch.nn.functional.normalize(fitted.embeddings, dim=1).cpu().numpy(),
        anchors=fitted.anchors.cpu().numpy(),
        log_sigma=fitted.log_sigma.cpu().numpy(),
        log_prior=fitted.log_prior.cpu().numpy(),
        colors=start.candidates.colors[start.chosen].numpy(),
        keyframes=np.stack([keyframe.world_from_cam for keyframe in keyframes]),
        recorded=np.stack([keyframe.recorded for keyframe in keyframes]),
        token_sessions=np.ones(len(fitted.anchors), np.uint32),
        keyframe_sessions=np.zeros(len(keyframes), np.uint8),
        keyframe_stamps=np.array([keyframe.frame.stamp for keyframe in keyframes]),
        descriptors=np.stack([keyframe.descriptor for keyframe in keyframes]),
        info=info,
        landmarks=landmarks,
    )
