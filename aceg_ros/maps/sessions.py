"""Maps of several recordings: joined, moved into another frame, and taken apart again.

Nothing here needs a network or an image. What a session has is marked in the code, so that it can
be taken out later; what looks the same in two sessions is held once, and marked for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.poses import (
    inverse,
    make_pose,
    rotation_angle_deg,
    shifted,
    transform_points,
)
from aceg_ros.landmarks.landmarks import Landmarks
from aceg_ros.maps.code import (
    ANCHORED,
    MOST_SESSIONS,
    NONE_NEEDED,
    AnchoredCode,
    KnownCamera,
    MapCode,
    MapInfo,
    MapQuality,
    Rating,
    Session,
    Vector3,
    advice_on,
    as_matrix4,
    origin_near,
)

# Tokens of two sessions are one where they are as close as this, by the deviation of the one that
# stays, and as alike (cosine).
_SAME_PLACE, _SAME_LOOK = 2.0, 0.7
_SAME_MOUNT_DEG = 0.5  # by which cameras of a session may differ
_ROWS = 1024  # tokens compared at a time
_FARTHEST = 10_000.0  # map units from the origin; float32 holds a millimeter there
_MOST_KEYFRAMES = 65_535  # as the landmarks number them
_TOKEN_PARTS = ('embeddings', 'anchors', 'log_sigma', 'log_prior', 'colors', 'token_sessions')
_BEST_FIRST = (Rating.GOOD, Rating.FAIR, Rating.POOR)


def require_anchored(code: MapCode, what: str) -> AnchoredCode:
    """The code, where it has tokens of its own; raises MapCodeError where it is a free one."""
    if code.kind != ANCHORED:
        raise MapCodeError(
            f'{what} is a free code (of the published ACE-G), which cannot be joined with another '
            'or taken apart: map all images together, or map with the anchored regressor'
        )
    return cast(AnchoredCode, code)


def check_joinable(first: MapInfo, second: MapInfo) -> None:
    """Raise MapCodeError, with the cause, where two maps cannot be one."""
    for what, one, other in (
        ('encoder', first.encoder, second.encoder),
        ('regressor', first.regressor, second.regressor),
    ):
        if one != other:
            raise MapCodeError(
                f'one map was made with {what} {one}, the other with {other}: make one of them '
                f'again with the {what} of the other'
            )
    if first.metric != second.metric:
        raise MapCodeError(
            'the unit of one map is the meter, that of the other is not known: give poses in '
            'meters to both'
        )
    if first.frame_id != second.frame_id:
        raise MapCodeError(
            f'one map has the frame {first.frame_id}, the other {second.frame_id}: make one of '
            'them again'
        )
    sessions = len(first.sessions) + len(second.sessions)
    if sessions > MOST_SESSIONS:
        raise MapCodeError(
            f'the map would have {sessions} sessions, but it holds {MOST_SESSIONS}: take old ones '
            'out with "aceg drop"'
        )


def joined(first: MapCode, second: MapCode) -> AnchoredCode:
    """Both maps as one, in the same world; ``first`` stays as it is.

    A token of ``second`` that a token of ``first`` is like in place and look is left out, and that
    one marked for its sessions. Sessions whose name ``first`` has are renamed. Raises MapCodeError
    where the maps do not fit together.
    """
    first = require_anchored(first, 'the first map')
    second = require_anchored(second, 'the second map')
    check_joinable(first.info, second.info)
    keyframes = len(first.keyframes) + len(second.keyframes)
    if keyframes > _MOST_KEYFRAMES:
        raise MapCodeError(
            f'the map would have {keyframes} keyframes, but it holds {_MOST_KEYFRAMES}: keep two '
            'maps'
        )
    info = _joined_info(first.info, second.info)
    second = _with_origin(_mounted_as_in(info, second), first.info.origin)
    own = len(first.info.sessions)
    bits = second.token_sessions << np.uint32(own)
    like = _same_tokens(first, second)
    new = like < 0
    marks = first.token_sessions.copy()
    np.bitwise_or.at(marks, like[~new], bits[~new])
    marked = replace(first, token_sessions=marks)
    added = replace(_tokens(second, new), token_sessions=bits[new])
    tokens = {
        name: np.concatenate([getattr(marked, name), getattr(added, name)]) for name in _TOKEN_PARTS
    }
    later = replace(second.landmarks, keyframe=second.landmarks.keyframe + len(first.keyframes))
    landmarks = Landmarks(
        *(
            np.concatenate([value, getattr(later, name)]).astype(value.dtype)
            for name, value in vars(first.landmarks).items()
        )
    )
    return replace(
        first,
        **tokens,
        keyframes=np.concatenate([first.keyframes, second.keyframes]),
        recorded=np.concatenate([first.recorded, second.recorded]),
        keyframe_sessions=np.concatenate(
            [first.keyframe_sessions, second.keyframe_sessions + np.uint8(own)]
        ),
        keyframe_stamps=np.concatenate([first.keyframe_stamps, second.keyframe_stamps]),
        descriptors=_stacked(first.descriptors, second.descriptors),
        landmarks=landmarks,
        info=info,
    )


def moved(
    code: AnchoredCode, new_from_old: NDArray[np.float64], scale: float = 1.0
) -> AnchoredCode:
    """The map in another frame: a place x of its world is at ``new_from_old`` (scale x) there.

    ``new_from_old`` (4, 4) is rigid. Tokens, landmarks, keyframes, deviations and the report move
    along, so that all that is read from the map is in the new frame. Each session keeps the
    transform from the poses that it was mapped with. A part of a place is none any more.
    """
    moving = make_pose(scale * new_from_old[:3, :3], new_from_old[:3, 3])

    def posed(poses: NDArray[np.float64]) -> NDArray[np.float64]:
        exact = shifted(poses, code.info.origin)
        exact[:, :3, 3] *= scale
        return new_from_old @ exact

    keyframes = posed(code.keyframes)
    origin = np.array(origin_near(keyframes[:, :3, 3].mean(axis=0)))

    def there(points3d: NDArray[np.float32]) -> NDArray[np.float32]:
        exact = points3d.astype(np.float64) + code.info.origin
        return (transform_points(moving, exact) - origin).astype(np.float32)

    sessions = tuple(_moved_session(session, moving, scale) for session in code.info.sessions)
    known = tuple(_scaled_mount(each, scale) for each in code.info.known)
    x, y, z = origin.tolist()
    return replace(
        code,
        anchors=there(code.anchors),
        log_sigma=code.log_sigma + np.float32(np.log(scale)),
        keyframes=shifted(keyframes, -origin),
        recorded=shifted(posed(code.recorded), -origin),
        landmarks=replace(code.landmarks, points3d=there(code.landmarks.points3d)),
        info=_with_sessions(replace(code.info, origin=(x, y, z), place='', known=known), sessions),
    )


def without_session(code: MapCode, name: str) -> AnchoredCode:
    """The map less what only the session ``name`` has; raises MapCodeError where that is not."""
    code = require_anchored(code, 'the map')
    sessions = code.info.sessions
    names = [session.name for session in sessions]
    if name not in names:
        raise MapCodeError(f'the map has no session {name!r}; it has {", ".join(names)}')
    if len(names) == 1:
        raise MapCodeError(f'{name!r} is the only session of the map; delete the file instead')
    dropped = names.index(name)
    kept = [index for index in range(len(names)) if index != dropped]
    bits = np.zeros_like(code.token_sessions)
    masks = session_masks(code)
    for place, index in enumerate(kept):
        bits |= masks[index].astype(np.uint32) << np.uint32(place)
    frames = code.keyframe_sessions != dropped
    number = np.cumsum(frames) - 1  # of each keyframe that stays
    of_kept = frames[code.landmarks.keyframe]
    landmarks = code.landmarks.subset(of_kept)
    landmarks = replace(landmarks, keyframe=number[landmarks.keyframe].astype(np.uint16))
    session = code.keyframe_sessions[frames]
    rest = replace(_tokens(code, bits > 0), token_sessions=bits[bits > 0])
    return replace(
        rest,
        keyframes=code.keyframes[frames],
        recorded=code.recorded[frames],
        keyframe_sessions=session - (session > dropped).astype(np.uint8),
        keyframe_stamps=code.keyframe_stamps[frames],
        descriptors=code.descriptors[frames],
        landmarks=landmarks,
        info=_with_sessions(code.info, tuple(sessions[index] for index in kept)),
    )


def judged(
    info: MapInfo,
    quality: MapQuality,
    angular_error: float,
    view_error: float = 0.0,
    covariance_scale: float = 1.0,
) -> MapInfo:
    """The info with what a test found of the session that came last."""
    last = replace(
        info.sessions[-1],
        quality=quality,
        angular_error=angular_error,
        view_error=view_error,
        covariance_scale=covariance_scale,
    )
    return _with_sessions(info, (*info.sessions[:-1], last))


def session_masks(code: AnchoredCode) -> list[NDArray[np.bool_]]:
    """For each session, which tokens (n,) it has."""
    bits = code.token_sessions
    return [
        (bits >> np.uint32(index) & np.uint32(1)).astype(bool)
        for index in range(len(code.info.sessions))
    ]


def session_landmarks(code: MapCode) -> list[Landmarks]:
    """The landmarks of each session; of a free code none, once."""
    if code.kind != ANCHORED:
        return [code.landmarks]
    session = cast(AnchoredCode, code).keyframe_sessions[code.landmarks.keyframe]
    return [code.landmarks.subset(session == index) for index in range(len(code.info.sessions))]


def session_reports(code: MapCode) -> list[dict[str, Any]]:
    """For people and programs, what each session is and how much of the map it has."""
    reports = [session.to_dict() for session in code.info.sessions]
    if code.kind == ANCHORED:
        anchored = cast(AnchoredCode, code)
        for index, mask in enumerate(session_masks(anchored)):
            reports[index] |= {
                'keyframes': int((anchored.keyframe_sessions == index).sum()),
                'tokens': int(mask.sum()),
                'tokens_of_its_own': int((anchored.token_sessions == 1 << index).sum()),
            }
    return reports


def _stacked(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of both; those of a map without descriptors are zeros."""
    width = max(first.shape[1], second.shape[1])
    return np.concatenate(
        [np.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in (first, second)]
    )


def _with_sessions(info: MapInfo, sessions: tuple[Session, ...]) -> MapInfo:
    """The info of such sessions: their cameras, and what they say of the map together."""
    used = sorted({camera for session in sessions for camera in session.cameras})
    cameras = tuple(info.cameras[index] for index in used)
    known = tuple(info.known[index] for index in used) if info.known else ()
    sessions = tuple(
        replace(session, cameras=tuple(used.index(camera) for camera in session.cameras))
        for session in sessions
    )
    return replace(
        info,
        cameras=cameras,
        known=known,
        sessions=sessions,
        quality=_quality(sessions),
        angular_error=max(session.angular_error for session in sessions),
        view_error=max(session.view_error for session in sessions),
        covariance_scale=max(session.covariance_scale for session in sessions),
    )


def _quality(sessions: Sequence[Session]) -> MapQuality:
    """The report of several sessions: sums, and of what has no sum the worst."""
    reports = [session.quality for session in sessions]
    if len(reports) == 1:
        return reports[0]
    rated = [report.rating for report in reports if report.rating != Rating.UNKNOWN]
    advice = [
        f'{session.name}: {session.quality.advice}'
        for session in sessions
        if session.quality.rating not in (Rating.GOOD, Rating.UNKNOWN)
    ]
    return MapQuality(
        rating=max(rated, key=_BEST_FIRST.index, default=Rating.UNKNOWN),
        advice='; '.join(advice) or NONE_NEEDED,
        held_out=sum(report.held_out for report in reports),
        localized=sum(report.localized for report in reports),
        median_error=_worst(report.median_error for report in reports if report.held_out),
        median_error_deg=_worst(report.median_error_deg for report in reports if report.held_out),
        median_inliers=min(
            (report.median_inliers for report in reports if report.held_out), default=0
        ),
        median_depth=max(report.median_depth for report in reports),
        thin=tuple(place for report in reports for place in report.thin),
    )


def _worst(errors: Iterable[float | None]) -> float | None:
    """The largest; None where one is None, which is worse than any number, or none is given."""
    given = list(errors)
    known = [error for error in given if error is not None]
    return max(known) if known and len(known) == len(given) else None


def _scaled_mount(known: KnownCamera, scale: float) -> KnownCamera:
    given_from_cam = np.array(known.given_from_cam)
    given_from_cam[:3, 3] *= scale
    return replace(known, given_from_cam=as_matrix4(given_from_cam))


def _joined_info(first: MapInfo, second: MapInfo) -> MapInfo:
    cameras = tuple(dict.fromkeys((*first.cameras, *second.cameras)))
    names = [session.name for session in first.sessions]
    added = []
    for session in second.sessions:
        name = next(name for name in _names(session.name) if name not in names)
        names.append(name)
        places = tuple(cameras.index(second.cameras[camera]) for camera in session.cameras)
        added.append(replace(session, name=name, cameras=places))
    created = max(first.created, second.created)
    known: tuple[KnownCamera, ...] = ()
    if first.known or second.known:
        # Of a camera of both, that of the first: its own tokens are to be read as before.
        owners = [first if camera in first.cameras else second for camera in cameras]
        pairs = zip(owners, cameras, strict=True)
        known = tuple(owner.known_camera(camera) for owner, camera in pairs)
    together = replace(first, cameras=cameras, known=known, created=created)
    return _with_sessions(together, (*first.sessions, *added))


def _mounted_as_in(info: MapInfo, second: AnchoredCode) -> AnchoredCode:
    """The map with recorded poses that answers match, of cameras mounted as ``info`` knows them.

    Two maps may have found the mounting of one camera differently. Raises MapCodeError where the
    cameras of a session differ in that.
    """
    recorded = second.recorded.copy()
    for number, session in enumerate(second.info.sessions):
        cameras = [second.info.cameras[index] for index in session.cameras]
        changes = np.array(
            [
                inverse(np.array(second.info.known_camera(camera).given_from_cam))
                @ np.array(info.known_camera(camera).given_from_cam)
                for camera in cameras
            ]
            or [np.eye(4)]
        )
        if rotation_angle_deg(changes[:, :3, :3], changes[0, :3, :3]).max() > _SAME_MOUNT_DEG:
            raise MapCodeError(
                f'the maps know the cameras of session {session.name!r} mounted differently: map '
                'its images again with --extend, or all of them together'
            )
        own = second.keyframe_sessions == number
        recorded[own] = recorded[own] @ changes[0]
    return replace(second, recorded=recorded)


def _names(name: str) -> Iterator[str]:
    """The name, then the same with a number."""
    yield name
    for number in count(2):
        yield f'{name} ({number})'


def _same_tokens(first: AnchoredCode, second: AnchoredCode) -> NDArray[np.int64]:
    """For each token of ``second`` the one of ``first`` that stands for it as well, or -1.

    That is the one most like it of all, where it also has the place: the first map alone knows what
    the second would add.
    """
    one, other = _unit(first.embeddings), _unit(second.embeddings)
    like = np.full(len(other), -1)
    for rows in np.array_split(np.arange(len(other)), len(other) // _ROWS + 1):
        cosine = other[rows] @ one.T
        best = cosine.argmax(axis=1)
        distance = np.linalg.norm(first.anchors[best] - second.anchors[rows], axis=1)
        same = distance < _SAME_PLACE * np.exp(first.log_sigma[best])
        same &= cosine.max(axis=1) > _SAME_LOOK
        like[rows[same]] = best[same]
    return like


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-6))


def _tokens(code: AnchoredCode, chosen: NDArray[np.bool_]) -> AnchoredCode:
    """The code with only these of its tokens."""
    return replace(code, **{name: getattr(code, name)[chosen] for name in _TOKEN_PARTS})


def _with_origin(code: AnchoredCode, origin: Vector3) -> AnchoredCode:
    """The same map relative to another origin; raises MapCodeError where that is too far away."""
    offset = np.array(code.info.origin) - np.array(origin)
    reach = np.abs(code.keyframes[:, :3, 3] + offset).max(initial=0.0)
    if reach > _FARTHEST:
        raise MapCodeError(
            f'the maps are {reach:.0f} apart; one map holds places up to {_FARTHEST:.0f} from '
            'its origin exactly: keep two maps, or check that both are in the same frame'
        )
    points3d = code.landmarks.points3d.astype(np.float64) + offset
    return replace(
        code,
        anchors=(code.anchors.astype(np.float64) + offset).astype(np.float32),
        keyframes=shifted(code.keyframes, offset),
        recorded=shifted(code.recorded, offset),
        landmarks=replace(code.landmarks, points3d=points3d.astype(np.float32)),
        info=replace(code.info, origin=origin),
    )


def _moved_session(session: Session, moving: NDArray[np.float64], scale: float) -> Session:
    places = []
    for place in session.quality.thin:
        x, y, z = transform_points(moving, np.array([place.position]))[0].round(3).tolist()
        places.append(replace(place, position=(x, y, z)))
    error = session.quality.median_error
    quality = replace(
        session.quality,
        thin=tuple(places),
        advice=advice_on(places) if places else session.quality.advice,
        median_error=None if error is None else round(scale * error, 4),
        median_depth=round(scale * session.quality.median_depth, 4),
    )
    whole = (moving @ np.array(session.world_from_poses)).tolist()
    return replace(session, quality=quality, world_from_poses=tuple(map(tuple, whole)))
