"""The `.aceg` file: a map code as safetensors with JSON metadata.

Embeddings of an anchored code are stored as int8 with a scale per token; for unit vectors of 64
numbers that changes a cosine by about 0.003. Those of a free code, which a network reads, are
stored as they are. docs/map-format.md describes the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from aceg_ros.errors import AcegError, MapCodeError
from aceg_ros.files import write_atomically
from aceg_ros.geometry.cameras import Camera
from aceg_ros.landmarks.landmarks import SIDE, Landmarks
from aceg_ros.maps.code import (
    ANCHORED,
    AS_GIVEN,
    FREE,
    MOST_SESSIONS,
    AnchoredCode,
    FreeCode,
    KnownCamera,
    MapCode,
    MapInfo,
    MapQuality,
    Session,
    Vector3,
    as_errors,
)

VERSION = '8'
_BEFORE_ADJUSTMENT = '7'  # its keyframes were all as recorded; it is read as well
_BEFORE_PLACES = '6'  # it knew no descriptors and no parts of places; it is read as well
_BEFORE_STAMPS = '5'  # it knew no stamps and no transforms of sessions; it is read as well
_BEFORE_SESSIONS = '4'  # it knew of one session only besides; it is read as well
_READ = (_BEFORE_SESSIONS, _BEFORE_STAMPS, _BEFORE_PLACES, _BEFORE_ADJUSTMENT, VERSION)
_Layout = dict[str, tuple[str, type, tuple[int | None, ...]]]
# name -> (what there is one for each of, type, shape after the first axis)
_ANCHORED: _Layout = {
    'embeddings': ('token', np.int8, (None,)),
    'embedding_scales': ('token', np.float16, ()),
    'anchors': ('token', np.float32, (3,)),
    'log_sigma': ('token', np.float16, ()),
    'log_prior': ('token', np.float16, ()),
    'colors': ('token', np.uint8, (3,)),
    'keyframes': ('keyframe', np.float64, (4, 4)),
    'recorded_keyframes': ('keyframe', np.float64, (4, 4)),
    'token_sessions': ('token', np.uint32, ()),
    'keyframe_sessions': ('keyframe', np.uint8, ()),
    'keyframe_stamps': ('keyframe', np.float64, ()),
    'keyframe_descriptors': ('keyframe', np.float16, (None,)),
    'landmarks': ('landmark', np.float32, (3,)),
    'landmark_templates': ('landmark', np.uint8, (SIDE, SIDE)),
    'landmark_keyframes': ('landmark', np.uint16, ()),
    'landmark_angles': ('landmark', np.float32, ()),
}
_FREE: _Layout = {
    'embeddings': ('token', np.float32, (None,)),
    'mean': ('axis', np.float32, ()),
    'keyframes': ('free keyframe', np.float64, (4, 4)),
}
_MAY_BE_NONE = ('landmark', 'free keyframe')
_MAY_BE_UNKNOWN = ('keyframe_stamps',)  # nan then


def write_map(path: str | Path, code: MapCode) -> int:
    """Write ``code`` atomically; returns the file's size in bytes.

    Raises MapCodeError when the folder cannot be written or the disk is full; a map that was there
    before is then still whole.
    """
    tensors = _KINDS[code.kind].tensors(code)
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    info = asdict(code.info) | {
        'kind': code.kind,
        'quality': code.info.quality.to_dict(),
        'cameras': [camera.to_dict() for camera in code.info.cameras],
        'known': [known.to_dict() for known in code.info.known],
        'sessions': [session.to_dict() for session in code.info.sessions],
        'mean': (code.mean + np.array(code.info.origin)).tolist(),
        'extent': (code.extent + np.array(code.info.origin)).tolist(),
        'keyframe_count': len(code.keyframes),
    }
    text = json.dumps(info, sort_keys=True)
    metadata = {
        'format': 'aceg',
        'version': VERSION,
        'map': text,
        'sha256': _digest(text, tensors),
    }
    data = save(tensors, metadata)
    try:
        write_atomically(Path(path), data)
    except OSError as error:
        raise MapCodeError(
            f'the map could not be written to {path} ({error.strerror or error}); nothing there '
            'was changed. Free some space or choose another place'
        ) from error
    return len(data)


def read_map(path: str | Path) -> MapCode:
    """Read a map and check all of it; raises MapCodeError with the cause when anything is wrong."""
    path = Path(path)
    if not path.is_file():
        raise MapCodeError(f'there is no map at {path}; make one with "aceg map"')
    try:
        with safe_open(path, framework='numpy') as file:
            metadata = file.metadata() or {}
            _check_format(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise MapCodeError(
            f'{path} is not an .aceg map, or only part of one ({error}); copy or make it again'
        ) from error
    text, digest = metadata.get('map', ''), _digest(metadata.get('map', ''), tensors)
    try:
        values = json.loads(text)
        kind = _KINDS[values['kind']]
        if metadata['version'] == _BEFORE_SESSIONS:
            _add_session(values, tensors)
        if metadata['version'] in (_BEFORE_SESSIONS, _BEFORE_STAMPS):
            _add_stamps(values, tensors)
        if metadata['version'] not in (_BEFORE_ADJUSTMENT, VERSION):
            _add_descriptors(values, tensors)
        if metadata['version'] != VERSION:
            _add_recorded(values, tensors)
        info = _info(values)
    except (ValueError, KeyError, TypeError, RecursionError, AcegError) as error:
        raise MapCodeError(f'the description inside {path} cannot be read: {error}') from error
    _check_layout(path, tensors, kind.layout)
    _check_sessions(path, tensors, info)
    if metadata.get('sha256') != digest:
        raise MapCodeError(f'{path} was changed after it was written; copy or make it again')
    return kind.code(tensors, info)


def holds_map(path: Path) -> bool:
    """Whether a file is a map, of any version; only its head is read."""
    try:
        with safe_open(path, framework='numpy') as file:
            return (file.metadata() or {}).get('format') == 'aceg'
    except (SafetensorError, OSError):
        return False


def _add_session(values: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """Complete what was read of a map that was made before there were sessions."""
    kept = {name: values[name] for name in ('created', 'quality', 'angular_error')}
    cameras = [*range(len(values['cameras']))]
    first = kept | {'name': values['created'] or 'first', 'cameras': cameras}
    _complete(values, 'sessions', [first])
    if values['kind'] == ANCHORED:
        _complete(tensors, 'token_sessions', np.ones(len(tensors['anchors']), np.uint32))
        _complete(tensors, 'keyframe_sessions', np.zeros(len(tensors['keyframes']), np.uint8))


def _add_stamps(values: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """Complete what was read of a map without stamps, which nobody had moved."""
    for session in values['sessions']:
        _complete(session, 'world_from_poses', AS_GIVEN)
    if values['kind'] == ANCHORED:
        _complete(tensors, 'keyframe_stamps', np.full(len(tensors['keyframes']), np.nan))


def _add_descriptors(values: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """Complete what was read of a map that says nothing of its images as a whole."""
    _complete(values, 'place', '')
    if values['kind'] == ANCHORED:
        none = np.zeros((len(tensors['keyframes']), 0), np.float16)
        _complete(tensors, 'keyframe_descriptors', none)


def _add_recorded(values: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """Complete what was read of a map whose keyframes are all as recorded."""
    if values['kind'] == ANCHORED:
        _complete(tensors, 'recorded_keyframes', tensors['keyframes'])


def _complete(parts: dict[str, Any], name: str, value: Any) -> None:
    """Add a part that the file's version lacks; raises ValueError where it has one.

    The version is not under the checksum, so this is how a wrong one shows.
    """
    if name in parts:
        raise ValueError(f'it has {name}, which its version does not know')
    parts[name] = value


def _free_tensors(code: FreeCode) -> dict[str, np.ndarray]:
    return {
        'embeddings': code.embeddings.astype(np.float32),
        'mean': np.asarray(code.mean, np.float32),
        'keyframes': code.keyframes.astype(np.float64),
    }


def _anchored_tensors(code: AnchoredCode) -> dict[str, np.ndarray]:
    scales = np.abs(code.embeddings).max(axis=1).clip(1e-4) / 127
    scales = scales.astype(np.float16)
    quantized = np.round(code.embeddings / scales[:, None].astype(np.float32)).clip(-127, 127)
    return {
        'embeddings': quantized.astype(np.int8),
        'embedding_scales': scales,
        'anchors': code.anchors.astype(np.float32),
        'log_sigma': code.log_sigma.astype(np.float16),
        'log_prior': code.log_prior.astype(np.float16),
        'colors': code.colors.astype(np.uint8),
        'keyframes': code.keyframes.astype(np.float64),
        'recorded_keyframes': code.recorded.astype(np.float64),
        'token_sessions': code.token_sessions.astype(np.uint32),
        'keyframe_sessions': code.keyframe_sessions.astype(np.uint8),
        'keyframe_stamps': code.keyframe_stamps.astype(np.float64),
        'keyframe_descriptors': code.descriptors.astype(np.float16),
        'landmarks': code.landmarks.points3d.astype(np.float32),
        'landmark_templates': code.landmarks.templates.astype(np.uint8),
        'landmark_keyframes': code.landmarks.keyframe.astype(np.uint16),
        'landmark_angles': code.landmarks.angle.astype(np.float32),
    }


def _anchored_code(tensors: dict[str, np.ndarray], info: MapInfo) -> AnchoredCode:
    scales = tensors['embedding_scales'].astype(np.float32)
    return AnchoredCode(
        embeddings=tensors['embeddings'].astype(np.float32) * scales[:, None],
        anchors=tensors['anchors'],
        log_sigma=tensors['log_sigma'].astype(np.float32),
        log_prior=tensors['log_prior'].astype(np.float32),
        colors=tensors['colors'],
        keyframes=tensors['keyframes'],
        recorded=tensors['recorded_keyframes'],
        token_sessions=tensors['token_sessions'],
        keyframe_sessions=tensors['keyframe_sessions'],
        keyframe_stamps=tensors['keyframe_stamps'],
        descriptors=tensors['keyframe_descriptors'].astype(np.float32),
        info=info,
        landmarks=Landmarks(
            tensors['landmarks'],
            tensors['landmark_templates'],
            tensors['landmark_keyframes'],
            tensors['landmark_angles'],
        ),
    )


def _free_code(tensors: dict[str, np.ndarray], info: MapInfo) -> FreeCode:
    return FreeCode(tensors['embeddings'], tensors['mean'], tensors['keyframes'], info)


@dataclass(frozen=True)
class _Kind:
    """How the file holds one kind of code."""

    layout: _Layout
    tensors: Callable[[Any], dict[str, np.ndarray]]
    code: Callable[[dict[str, np.ndarray], MapInfo], MapCode]


_KINDS = {
    ANCHORED: _Kind(_ANCHORED, _anchored_tensors, _anchored_code),
    FREE: _Kind(_FREE, _free_tensors, _free_code),
}


def _check_format(path: Path, metadata: dict[str, str]) -> None:
    if metadata.get('format') != 'aceg':
        raise MapCodeError(
            f'{path} is a safetensors file but no .aceg map; make one with "aceg map"'
        )
    version = metadata.get('version', '')
    if version not in _READ:
        raise MapCodeError(
            f'{path} has format version {version or "unknown"}, this program reads '
            f'{", ".join(_READ[:-1])} and {VERSION}: update aceg_ros, or make the map again with '
            '"aceg map"'
        )


def _check_layout(path: Path, tensors: dict[str, np.ndarray], layout: _Layout) -> None:
    if set(tensors) != set(layout):
        missing = ', '.join(sorted(set(layout) ^ set(tensors)))
        raise MapCodeError(f'{path} lacks, or has too many, of its parts: {missing}')
    counts: dict[str, int] = {'axis': 3}
    for name, (each, kind, rest) in layout.items():
        tensor = tensors[name]
        right = tensor.dtype == kind and tensor.ndim == 1 + len(rest)
        right = right and all(
            want in (None, got) for want, got in zip(rest, tensor.shape[1:], strict=True)
        )
        right = right and len(tensor) == counts.setdefault(each, len(tensor))
        right = right and (len(tensor) > 0 or each in _MAY_BE_NONE)
        if not right:
            raise MapCodeError(f'{path}: {name} has shape {tensor.shape} {tensor.dtype}, damaged')
        if name in _MAY_BE_UNKNOWN:
            tensor = tensor[~np.isnan(tensor)]
        if not np.isfinite(tensor.astype(np.float64)).all():
            raise MapCodeError(
                f'{path}: {name} holds values that are no numbers; make the map again'
            )
    if 'keyframe' in counts and (tensors['landmark_keyframes'] >= counts['keyframe']).any():
        raise MapCodeError(f'{path}: landmarks are of keyframes that it does not have, damaged')


def _check_sessions(path: Path, tensors: dict[str, np.ndarray], info: MapInfo) -> None:
    """Raise MapCodeError where tokens, keyframes or sessions refer to what is not there."""
    count = len(info.sessions)
    wrong = len({session.name for session in info.sessions}) != count
    cameras = {camera for session in info.sessions for camera in session.cameras}
    wrong |= not cameras <= set(range(len(info.cameras)))
    wrong |= len(info.known) not in (0, len(info.cameras))
    if 'token_sessions' in tensors:
        bits, keyframes = tensors['token_sessions'], tensors['keyframe_sessions']
        wrong |= not 1 <= count <= MOST_SESSIONS or {*keyframes.tolist()} != {*range(count)}
        wrong |= bool(((bits == 0) | (bits.astype(np.uint64) >> np.uint64(count) > 0)).any())
    if wrong:
        raise MapCodeError(f'{path}: what it says of its sessions does not fit together, damaged')


def _digest(text: str, tensors: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


def _info(values: dict[str, Any]) -> MapInfo:
    angular_error, view_error, covariance_scale = as_errors(values)
    return MapInfo(
        encoder=str(values['encoder']),
        regressor=str(values['regressor']),
        metric=bool(values['metric']),
        cameras=tuple(Camera.from_dict(camera) for camera in values['cameras']),
        frame_id=str(values['frame_id']),
        created=str(values['created']),
        quality=MapQuality.from_dict(values['quality']),
        angular_error=angular_error,
        view_error=view_error,
        covariance_scale=covariance_scale,
        origin=_vector(values['origin']),
        sessions=tuple(Session.from_dict(session) for session in values['sessions']),
        place=str(values['place']),
        known=tuple(KnownCamera.from_dict(known) for known in values.get('known', ())),
    )


def _vector(values: Any) -> Vector3:
    x, y, z = map(float, values)
    if not np.isfinite([x, y, z]).all():
        raise ValueError(f'origin {[x, y, z]} is not of finite numbers')
    return x, y, z
