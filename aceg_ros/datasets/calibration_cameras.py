"""Files with several cameras, or with parts around the entries of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aceg_ros.datasets.calibration_entries import Entries
from aceg_ros.datasets.calibration_names import FOCAL, FX, MATRIX
from aceg_ros.datasets.lens_models import fold
from aceg_ros.errors import CameraError

MAX_CAMERAS = 100


def unfold_dots(values: Any) -> Mapping[str, Any]:
    """ORB-SLAM's `Camera.fx` as the entry `fx` of the part `Camera`."""
    if not isinstance(values, Mapping):
        raise CameraError('calibration holds no entries by name')
    result: dict[str, Any] = {}
    for name, value in values.items():
        part, dot, inner = str(name).partition('.')
        if dot and part and inner and not isinstance(value, Mapping):
            result.setdefault(part, {})
            if isinstance(result[part], dict):
                result[part][inner] = value
                continue
        result[str(name)] = value
    return result


def has_lens(values: Any) -> bool:
    """Whether these are the entries of a camera: a focal length or a matrix."""
    if not isinstance(values, Mapping):
        return False
    names = {fold(name) for name, value in values.items() if value and not _is_listed(value)}
    return bool(names & {*FX, *FOCAL, *MATRIX})


def _is_listed(value: Any) -> bool:
    """Whether these are several cameras, or other things, in a list."""
    return isinstance(value, list) and any(isinstance(part, Mapping) for part in value)


def choose_camera(values: Any, chosen: str) -> Mapping[str, Any]:
    """The entries of one camera: the file's own, or those of the part that was chosen.

    Raises CameraError when there is a choice and none was made, or what was chosen is not there.
    """
    values = unfold_dots(values)
    if has_lens(values) and not chosen:
        _refuse_pair(values)
        return values
    found: dict[str, Mapping[str, Any]] = {}
    for name, camera in cameras_in(values):
        found[name if name not in found else f'{name}{len(found)}'] = camera
    if not found and not chosen:
        return values
    name = _chosen_name(found, chosen)
    # ORB-SLAM3 has what its cameras have in common under `Camera`, the lens under `Camera1`.
    common = next((v for n, v in values.items() if fold(n) == 'camera'), None)
    if not isinstance(common, Mapping) or any(common is part for part in found.values()):
        common = {}
    beside = {
        name: value
        for name, value in values.items()
        if value is not common and not _holds(value, found)
    }
    Entries(beside).refuse_rest()
    return {**common, **found[name]}


def _chosen_name(found: Mapping[str, Any], chosen: str) -> str:
    if chosen:
        name = next((name for name in found if fold(name) == fold(chosen)), None)
        if name is None:
            known = ', '.join(found) or 'none by a name'
            raise CameraError(f'there is no camera {chosen!r}; there are: {known}')
        return name
    first = next(iter(found))
    if len(found) > 1:
        raise CameraError(
            f'there are several cameras, {", ".join(found)}; choose one by --camera FILE#{first}, '
            'or keep only its entries in the file'
        )
    return first


def _holds(value: Any, found: Mapping[str, Any]) -> bool:
    """Whether an entry is one of these parts, or holds one."""
    inner = [part for _, part in cameras_in({'': value})]
    return any(part is own for part in inner for own in found.values())


def _refuse_pair(values: Mapping[str, Any]) -> None:
    names = {fold(name) for name in values}
    for one, two in (('m1', 'm2'), ('cameramatrix1', 'cameramatrix2'), ('k1', 'k2')):
        matrices = [v for n, v in values.items() if fold(n) in (one, two) and not _is_scalar(v)]
        if {one, two} <= names and len(matrices) == 2:
            raise CameraError(
                'there are the cameras of a stereo pair; keep the entries of one, as '
                'camera_matrix and distortion_coefficients'
            )


def _is_scalar(value: Any) -> bool:
    return isinstance(value, int | float | str)


def cameras_in(
    values: Any, name: str = '', seen: frozenset[int] = frozenset()
) -> list[tuple[str, Mapping[str, Any]]]:
    """Parts that hold a camera, with their names, at most four levels down."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    # Few levels, and no part in itself: YAML's aliases make much of little.
    if len(seen) > 3 or id(values) in seen:
        return found
    seen |= {id(values)}
    pairs: list[tuple[str, Any]] = []
    if isinstance(values, Mapping):
        pairs = [(str(key), value) for key, value in values.items()]
    elif isinstance(values, list):
        pairs = [(f'{name}{index}', value) for index, value in enumerate(values)]
    for key, value in pairs:
        if fold(key) in ('depthcamera', 'stereo'):
            continue
        if has_lens(value):
            found.append((_label(key, value), value))
        elif isinstance(value, Mapping) or _is_listed(value):
            found += cameras_in(value, key if not isinstance(values, list) else name, seen)
        if len(found) > MAX_CAMERAS:
            raise CameraError(f'there are more than {MAX_CAMERAS} cameras; give a file of one')
    return found


def _label(key: str, value: Mapping[str, Any]) -> str:
    """A camera's name: that of its part, or what it calls itself where parts are only counted."""
    own = value.get('label') or value.get('camera_name') or value.get('name')
    counted = fold(key) in ('camera', 'cam') or key[-1:].isdigit()
    return str(own) if own and counted and fold(key).rstrip('0123456789') != 'cam' else key
