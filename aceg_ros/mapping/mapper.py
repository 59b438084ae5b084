"""Posed images in, a map code out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import torch

from aceg_ros.datasets.base import Frame
from aceg_ros.encoder.base import Encoder
from aceg_ros.errors import FitError
from aceg_ros.landmarks.landmarks import Landmarks
from aceg_ros.mapping.buffer import fill_buffer
from aceg_ros.mapping.fit import FitHistory, fit_code
from aceg_ros.mapping.keyframes import Keyframe, encode_keyframes
from aceg_ros.mapping.landmarks import make_landmarks
from aceg_ros.mapping.options import MIN_KEYFRAMES, FitOptions
from aceg_ros.mapping.sweep import Candidates, SceneDepths, scene_depths, sweep
from aceg_ros.mapping.tokens import anchored_code, choose_tokens
from aceg_ros.mapping.validation import held_out_frames, validate_map
from aceg_ros.mapping.views import ViewPairs, compare_views
from aceg_ros.maps.code import MapCode, MapInfo
from aceg_ros.progress import Cancelled, Progress, never, silent
from aceg_ros.regressor.anchored import CodeTensors, Regressor
from aceg_ros.regressor.base import SceneRegressor

_CANDIDATES_PER_TOKEN = 2.5
_RESERVE = 0.08  # of the budget, kept for judging the map
_LEAST_FIT = 0.2  # of the budget, for the fit itself


@dataclass(frozen=True)
class MappingResult:
    """A finished map and how it came about."""

    code: MapCode
    history: FitHistory
    skipped: list[str]  # frames left out: 'name: reason'
    seconds: float


def map_scene(
    frames: Sequence[Frame],
    encoder: Encoder,
    regressor: SceneRegressor,
    options: FitOptions | None = None,
    metric: bool = True,
    progress: Progress = silent,
    cancelled: Cancelled = never,
) -> MappingResult:
    """Fit a map code to frames with poses; the map's axes are those of the poses.

    Raises FitError when the frames do not allow a map or the regressor reads no anchored codes,
    FitCancelled on request.
    """
    if not isinstance(regressor, Regressor):
        raise FitError(
            'the regressor reads free codes, which are fitted by a schedule of the paper: give '
            '--schedule paper-5min'
        )
    options = options or FitOptions()
    began = time.monotonic()
    rng = np.random.default_rng(options.seed)
    generator = torch.Generator().manual_seed(options.seed)

    frames = _spread(frames, options.max_keyframes)
    mapped, kept_out = held_out_frames(frames, options.held_out)
    per_image = options.buffer_patches // max(len(mapped), 1)
    keyframes, skipped = encode_keyframes(mapped, encoder, per_image, rng, progress, cancelled)
    start = start_code(keyframes, options, generator, progress, cancelled)
    landmarks = make_landmarks(
        keyframes,
        start.candidates,
        start.pairs,
        options.landmarks,
        options.seed,
        progress,
        cancelled,
    )

    buffer = fill_buffer(keyframes, options.buffer_patches, options.augmented)
    device = encoder.device
    # slow encoding must not leave the fit without any time
    deadline = max(
        began + options.budget * (1 - _RESERVE), time.monotonic() + _LEAST_FIT * options.budget
    )
    fitted, history = fit_code(
        CodeTensors(*(part.to(device) for part in vars(start.code).values())),
        start.origins.to(device),
        start.owner.to(device),
        start.hidden.to(device),
        buffer.to(device),
        start.depths.median,
        regressor.to(device),
        options,
        deadline,
        progress,
        cancelled,
    )
    colors = start.candidates.colors[start.chosen]
    code = _assemble(fitted, colors, landmarks, keyframes, encoder, regressor, metric)
    code = validate_map(code, kept_out, start.depths, encoder, regressor, progress, skipped)
    return MappingResult(code, history, skipped, time.monotonic() - began)


@dataclass(frozen=True)
class CodeStart:
    """A code before its fit, and what it was made from; K keyframes, n tokens, on the CPU."""

    depths: SceneDepths
    pairs: ViewPairs
    candidates: Candidates
    chosen: torch.Tensor  # (n,) which candidates became tokens
    code: CodeTensors
    owner: torch.Tensor  # (n,) the keyframe of each token
    origins: torch.Tensor  # (n, 3) its camera center
    hidden: torch.Tensor  # (2 K, K) bool, see `_hidden_views`


def start_code(
    keyframes: Sequence[Keyframe],
    options: FitOptions,
    generator: torch.Generator,
    progress: Progress,
    cancelled: Cancelled,
) -> CodeStart:
    """Find first depths, and choose the tokens; raises FitError as `map_scene` does."""
    depths = scene_depths(keyframes, cancelled)
    pairs = compare_views(keyframes, depths.median)
    wanted = int(_CANDIDATES_PER_TOKEN * options.tokens / len(keyframes)) + 1
    candidates = sweep(
        keyframes, depths, pairs, max(wanted, 60), options.use_depth, progress, cancelled
    )
    chosen = choose_tokens(candidates, depths, options.tokens, generator)
    owner = candidates.keyframe[chosen]
    centers = torch.from_numpy(np.stack([k.center for k in keyframes])).float()
    return CodeStart(
        depths,
        pairs,
        candidates,
        chosen,
        anchored_code(candidates, chosen, depths),
        owner,
        centers[owner],
        torch.from_numpy(_hidden_views(pairs, options.near_view_angle)),
    )


def _spread(frames: Sequence[Frame], limit: int) -> list[Frame]:
    """At most ``limit`` frames, evenly over the recording."""
    if len(frames) < MIN_KEYFRAMES:
        raise FitError(
            f'{len(frames)} images, but a map needs at least {MIN_KEYFRAMES}: record more views of '
            'the place, from different positions'
        )
    if len(frames) <= limit:
        return list(frames)
    return [frames[i] for i in np.linspace(0, len(frames) - 1, limit).round().astype(int)]


def _hidden_views(pairs: ViewPairs, near_view_angle: float) -> np.ndarray:
    """(2 K, K) bool: the keyframes that each group of the buffer must not read.

    An image as it was taken does not read its own tokens. Its changed copy does not read those of
    near views either, and so has to be recognized from afar; no more than half of all keyframes
    are hidden that way, or slow recordings would lose them all.
    """
    count = len(pairs.overlap)
    near = (pairs.parallax < near_view_angle) & (pairs.overlap > 0.5)
    for row, angles in zip(near, pairs.parallax, strict=True):
        if row.sum() > count / 2:
            row &= angles <= np.median(angles)
    own = np.eye(count, dtype=bool)
    return np.stack([own, near | own], axis=1).reshape(-1, count)


def _assemble(
    fitted: CodeTensors,
    colors: torch.Tensor,
    landmarks: Landmarks,
    keyframes: Sequence[Keyframe],
    encoder: Encoder,
    regressor: Regressor,
    metric: bool,
) -> MapCode:
    cameras = tuple(dict.fromkeys(keyframe.frame.camera for keyframe in keyframes))
    return MapCode(
        embeddings=torch.nn.functional.normalize(fitted.embeddings, dim=1).cpu().numpy(),
        anchors=fitted.anchors.cpu().numpy(),
        log_sigma=fitted.log_sigma.cpu().numpy(),
        log_prior=fitted.log_prior.cpu().numpy(),
        colors=colors.numpy(),
        keyframes=np.stack([keyframe.world_from_cam for keyframe in keyframes]),
        info=MapInfo(
            encoder=encoder.identity,
            regressor=regressor.codes(),
            metric=metric,
            cameras=cameras,
            created=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        ),
        landmarks=landmarks,
    )
