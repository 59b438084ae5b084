"""Poses of keyframes and calibrations, adjusted to what the images show.

Poses that a robot's SLAM gives drift by centimeters, and lenses distort more than their calibration
says. Depths are then found from views that do not fit each other, and a map from views that nobody
had is wrong by far more than that. Where the images say so, all move together until they agree
(`bundle`). What the images do not tell stays as given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import make_pose, pose_error, so3_exp
from aceg_ros.mapping.bundle import Bundle, State, Trust
from aceg_ros.mapping.intrinsics import Intrinsics, changed
from aceg_ros.mapping.keyframes import Keyframe, taken_by
from aceg_ros.mapping.options import AdjustmentOptions
from aceg_ros.mapping.sweep import Candidates
from aceg_ros.mapping.tracks import find_corners, find_tracks
from aceg_ros.mapping.views import ViewPairs, neighbors
from aceg_ros.maps.code import KnownCamera, as_matrix4
from aceg_ros.monitor import Monitor

_MIN_TRACKS = 20  # of each keyframe, on average
# Samples searched, similarity wanted and parallax liked best (deg), as poses get better.
_ROUNDS = ((20, 0.7, 14.0), (10, 0.75, 14.0), (4, 0.8, 25.0))
_CAMERA_ROUNDS = 0, 1  # in which is asked whether calibration and mounting are wrong
_TINY = 1e-9
_FIXED = np.full(6, 1 / _TINY)  # trust in a mounting that is not adjusted
_SIDE = 9  # of a grid of pixels
_NOTED_DEG = 0.5  # turn of a camera that people want to know of


@dataclass(frozen=True)
class Adjustment:
    """Keyframes at adjusted poses, and what that was good for."""

    keyframes: list[Keyframe]
    known: dict[Camera, KnownCamera]  # of each camera as given
    notes: list[str]  # for people


def adjust_poses(
    keyframes: Sequence[Keyframe],
    candidates: Candidates,
    pairs: ViewPairs,
    depth: float,
    options: AdjustmentOptions,
    min_corner: float,
    monitor: Monitor,
) -> Adjustment | None:
    """Keyframes at poses that fit the images; None where those given do, or nothing tells.

    Calibrations are adjusted with them where that makes a difference. ``pairs`` compares the
    keyframes at the median ``depth`` of the scene, and ``candidates`` tell first depths.
    ``min_corner`` is that of `LandmarkOptions`. Raises FitCancelled on request.
    """
    if not options.enabled:
        return None
    given = np.stack([keyframe.world_from_cam for keyframe in keyframes])
    intrinsics = Intrinsics.of([keyframe.camera for keyframe in keyframes])
    corners = find_corners(keyframes, candidates, options.corners, min_corner)
    as_given = np.zeros((len(intrinsics.given), 6)), intrinsics.unchanged()
    state = State(given, corners.distances, *as_given)
    camera_rounds = _CAMERA_ROUNDS if intrinsics.adjustable.any() else ()
    before_px, after_px, calibrate = 0.0, 0.0, False
    trust = Trust(np.zeros(6), _FIXED)
    for number, (reach, min_similarity, parallax) in enumerate(_ROUNDS):
        monitor.report('adjust', number / len(_ROUNDS), f'round {number + 1} of {len(_ROUNDS)}')
        others = neighbors(pairs, options.views, parallax)
        views = _with_changes(keyframes, intrinsics, state) if calibrate else keyframes
        tracks = find_tracks(views, state.poses, corners, others, reach, min_similarity)
        if len(tracks.corner) < _MIN_TRACKS * len(keyframes):
            return None
        bundle = Bundle(corners, tracks, intrinsics, replace(state, poses=given), trust)
        if number == 0:
            state = bundle.placed(state)
            before_px = bundle.error(state)
            off = options.pose_deviation * before_px / float(np.median(intrinsics.focals))
            trust = replace(trust, poses=1 / np.maximum(np.repeat([off * depth, off], 3), _TINY))
        if number in camera_rounds:
            # Finds of the first round may be wrong ones. What they say of cameras is only a start.
            state = State(state.poses, state.distances, *as_given)
            bundle, calibrate = bundle.trusting(replace(trust, mounts=_FIXED)), False
        state = bundle.solved(state, calibrate, monitor)
        if number in camera_rounds:
            bundle, state, calibrate = _with_camera(bundle, state, depth, options, monitor)
            trust = bundle.trust
        if number == 0 and bundle.error(state) > options.worth * before_px:
            return None
        after_px = bundle.error(state)
        corners = replace(corners, distances=state.distances, rays=bundle.rays(state)[0])
    known = _known_cameras(keyframes, intrinsics, state)
    adjusted = [
        taken_by(replace(keyframe, world_from_cam=pose), known[keyframe.frame.camera])
        for keyframe, pose in zip(keyframes, state.poses, strict=True)
    ]
    notes = [_pose_note(adjusted, depth, before_px, after_px)]
    turn = np.degrees(np.linalg.norm(state.mounts[:, 3:], axis=1).max())
    if turn > _NOTED_DEG:
        notes.append(
            f'mounting: the camera is turned by {turn:.1f} degrees against what the poses are of. '
            'The map accounts for it; if it should not be, check the transform between the two'
        )
    if calibrate:
        notes += [
            _calibration_note(given, each.camera)
            for given, each in known.items()
            if each.camera != given
        ]
    return Adjustment(adjusted, known, notes)


def _with_camera(
    bundle: Bundle, state: State, depth: float, options: AdjustmentOptions, monitor: Monitor
) -> tuple[Bundle, State, bool]:
    """Mounting and calibration adjusted too, each where it is worth it; whether the latter is.

    Each hides the other, so that the worth of one is seen with the other free.
    """
    if not (options.mount_worth or options.calibration_worth):
        return bundle, state, False
    mount = np.repeat([options.mount_shift * depth, np.radians(options.mount_turn)], 3)
    free = bundle.trusting(replace(bundle.trust, mounts=1 / mount))
    mounted = free.solved(state, False, monitor)
    both = free.solved(mounted, True, monitor)
    calibrate = free.error(both) < options.calibration_worth * free.error(mounted)
    if calibrate:
        state, mounted = bundle.solved(state, True, monitor), both
    if free.moved_off(mounted) < options.mount_worth * bundle.moved_off(state):
        return free, mounted, calibrate
    return bundle, state, calibrate


def _with_changes(
    keyframes: Sequence[Keyframe], intrinsics: Intrinsics, state: State
) -> Sequence[Keyframe]:
    """The keyframes with cameras as calibrated now, to search for corners in them."""
    cameras = intrinsics.cameras(state.changes)
    return [
        replace(keyframe, camera=camera)
        for keyframe, camera in zip(keyframes, cameras, strict=True)
    ]


def _known_cameras(
    keyframes: Sequence[Keyframe], intrinsics: Intrinsics, state: State
) -> dict[Camera, KnownCamera]:
    """By camera as given, what is known of it now."""
    return {
        keyframe.frame.camera: KnownCamera(
            changed(keyframe.frame.camera, state.changes[place]),
            as_matrix4(make_pose(so3_exp(state.mounts[place, 3:]), state.mounts[place, :3])),
        )
        for keyframe, place in zip(keyframes, intrinsics.of_keyframe, strict=True)
    }


def _pose_note(
    adjusted: Sequence[Keyframe], depth: float, before_px: float, after_px: float
) -> str:
    poses = np.stack([keyframe.world_from_cam for keyframe in adjusted])
    shifts, turns = pose_error(poses, np.stack([keyframe.recorded for keyframe in adjusted]))
    return (
        'poses: they did not fit each other and were adjusted, by '
        f'{100 * np.median(shifts) / depth:.2g} % of the distance to the scene and '
        f'{np.median(turns):.2g} degrees; reprojection error {before_px:.2g} -> {after_px:.2g} px'
    )


def _calibration_note(given: Camera, found: Camera) -> str:
    columns, rows = np.meshgrid(
        np.linspace(0, given.width - 1, _SIDE), np.linspace(0, given.height - 1, _SIDE)
    )
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1)
    moved = np.linalg.norm(found.project(given.rays(pixels)) - pixels, axis=1)
    (x, y), k1 = found.K[:2, 2], found.distortion[0]
    return (
        'calibration: the images fit another one, which moves pixels by up to '
        f'{np.nanmax(moved):.2g}: focal length {given.focal:.1f} -> {found.focal:.1f}, principal '
        f'point ({given.K[0, 2]:.1f}, {given.K[1, 2]:.1f}) -> ({x:.1f}, {y:.1f}), k1 '
        f'{given.distortion[0] if given.distortion.size else 0:.3g} -> {k1:.3g}. The map uses it '
        'for this camera'
    )
