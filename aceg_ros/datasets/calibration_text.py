"""The text of a calibration file as entries by name: YAML, JSON, XML or plain lines.

Only the syntax is dealt with here, and what a program writes in units or signs of its own
(Metashape, COLMAP, librealsense); `aceg_ros.datasets.calibration_keys` knows the entries' names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from math import inf
from typing import Any
from xml.etree import ElementTree

import yaml

from aceg_ros.errors import CameraError

_REALSENSE_SECTION = re.compile(r'^\s*Intrinsic of "(.+?)" */ *(\S+)')
_REALSENSE_REPR = re.compile(
    r'^\W*(\d+)x(\d+)\s+p\[(\S+)\s+(\S+)\]\s+f\[(\S+)\s+(\S+)\]\s+(.+?)\s*\[([^\]]*)\]'
)
# Characters. A calibration has some thousand; more takes minutes to be read.
MAX_YAML = 500_000
MAX_ENTRIES = 500_000
# Order of COLMAP's parameters after width and height.
COLMAP_PARAMETERS: dict[str, tuple[str, ...]] = {
    'SIMPLE_PINHOLE': ('f', 'cx', 'cy'),
    'PINHOLE': ('fx', 'fy', 'cx', 'cy'),
    'SIMPLE_RADIAL': ('f', 'cx', 'cy', 'k1'),
    'RADIAL': ('f', 'cx', 'cy', 'k1', 'k2'),
    'OPENCV': ('fx', 'fy', 'cx', 'cy', 'k1', 'k2', 'p1', 'p2'),
    'OPENCV_FISHEYE': ('fx', 'fy', 'cx', 'cy', 'k1', 'k2', 'k3', 'k4'),
    'FULL_OPENCV': (
        *('fx', 'fy', 'cx', 'cy', 'k1', 'k2', 'p1', 'p2'),
        *('k3', 'k4', 'k5', 'k6'),
    ),
    'SIMPLE_RADIAL_FISHEYE': ('f', 'cx', 'cy', 'k1'),
    'RADIAL_FISHEYE': ('f', 'cx', 'cy', 'k1', 'k2'),
}


def parse(text: str, is_json: bool) -> dict[str, Any]:
    """Entries of a calibration's first document; raises CameraError without the file's name."""
    start = text.lstrip()
    try:
        if _REALSENSE_SECTION.match(start):
            return _realsense_sections(text)
        if _REALSENSE_REPR.match(start):
            return _realsense_repr(start)
        if start.startswith('<'):
            return _xml(start)
        if is_json or start.startswith('{'):
            return _entries(_json(start, is_json))
        if _is_colmap(start):
            return _colmap(text)
        return _entries(_yaml(text))
    except RecursionError as error:
        raise CameraError('is nested too deeply for a calibration') from error


def _entries(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise CameraError('holds no entries by name; a camera calibration is expected')
    return values


def _json(text: str, strict: bool) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        if strict:
            raise CameraError(
                f'is neither YAML nor JSON (line {error.lineno}: {error.msg}); write it as either'
            ) from error
    except ValueError as error:
        raise CameraError('holds a number of thousands of digits; calibrate again') from error
    return _yaml(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values and values[name] != value:
            raise CameraError(f'entry {name!r} is there twice; remove one of them')
        values[name] = value
    return values


class _Loader(yaml.SafeLoader):
    """Also reads OpenCV's matrices, and refuses an entry that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[str, Any] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                content = value.value if isinstance(value, yaml.ScalarNode) else value
                if seen.setdefault(key.value, content) != content:
                    raise CameraError(f'entry {key.value!r} is there twice; remove one of them')
        return super().construct_mapping(node, deep)


def _opencv_matrix(loader: _Loader, node: yaml.Node) -> Any:
    if not isinstance(node, yaml.MappingNode):
        raise CameraError('holds an opencv-matrix without rows, cols and data')
    return loader.construct_mapping(node, deep=True)


for _tag in ('opencv-matrix', 'opencv-nd-matrix'):
    _Loader.add_constructor(f'tag:yaml.org,2002:{_tag}', _opencv_matrix)


def _yaml(text: str) -> Any:
    if len(text) > MAX_YAML:
        raise CameraError(
            f'is {len(text) / 1e6:.0f} MB of YAML, too much for a calibration; keep the entries of '
            'the camera'
        )
    if re.match(r'\s*%YAML', text):
        # OpenCV writes a directive that is no YAML, and up to version 2 no blank after a colon.
        text = text.split('\n', 1)[1] if '\n' in text else ''
        text = re.sub(r'^(\s*[A-Za-z_][\w.]*):(?=[^\s:])', r'\1: ', text, flags=re.MULTILINE)
    try:
        # `ros2 topic echo` ends each message with a document separator.
        documents = yaml.load_all(text.replace('\t', '    '), _Loader)
        found = next((document for document in documents if document is not None), None)
    except yaml.MarkedYAMLError as error:
        line = '' if error.problem_mark is None else f'line {error.problem_mark.line + 1}: '
        problem = str(error.problem).replace('unhashable key', 'a list or mapping as a key')
        raise CameraError(
            f'is neither YAML nor JSON ({line}{problem}); write it as either'
        ) from error
    except yaml.YAMLError as error:
        raise CameraError('is neither YAML nor JSON (it holds control characters)') from error
    except ValueError as error:
        raise CameraError(
            'holds a date or number that does not exist; correct or remove it'
        ) from error
    if _size(found, {}) > MAX_ENTRIES:
        raise CameraError('repeats itself to millions of entries; keep those of the camera')
    return found


def _size(value: Any, known: dict[int, float]) -> float:
    """Entries in all, those that aliases repeat included; infinite where something holds itself."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = inf
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(each, known) for each in inner)
    return known[id(value)]


def _xml(text: str) -> dict[str, Any]:
    if '<!DOCTYPE' in text or '<!ENTITY' in text:
        raise CameraError('is XML with declarations of its own; export the calibration again')
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        line, _ = error.position
        raise CameraError(f'is no XML that can be read (line {line}); export it again') from error
    sensors = [s for s in root.iter('sensor') if s.find('calibration') is not None]
    if sensors:
        found = {
            s.get('label') or f'sensor{s.get("id", index)}': _metashape(_adjusted(s), s)
            for index, s in enumerate(sensors)
        }
        return next(iter(found.values())) if len(found) == 1 else found
    if root.tag == 'calibration':
        return _metashape(root, None)
    return _entries(_element(root))


def _element(element: ElementTree.Element) -> Any:
    children = list(element)
    if not children:
        return (element.text or '').strip()
    return _unique([(child.tag, _element(child)) for child in children])


def _adjusted(sensor: ElementTree.Element) -> ElementTree.Element:
    """What Metashape estimated, before what it began with."""
    found = sensor.findall('calibration')
    return next((c for c in found if c.get('class') == 'adjusted'), found[0])


def _metashape(element: ElementTree.Element, sensor: ElementTree.Element | None) -> dict[str, Any]:
    """Metashape's calibration in OpenCV's terms.

    Its principal point counts from the middle of the image, its p1 and p2 are OpenCV's p2 and p1,
    its k4 is a radial term, and b1 and b2 are differences of the focal lengths and the skew.
    """
    texts = {child.tag: (child.text or '').strip() for child in element}
    resolution = element.find('resolution')
    if resolution is None and sensor is not None:
        resolution = sensor.find('resolution')
    if resolution is not None:
        texts.pop('resolution', None)
        texts.update({name: resolution.get(name, '') for name in ('width', 'height')})
    projection = texts.pop('projection', '') or element.get('type', '')
    numbers = {name: _float(name, texts.pop(name, '0')) for name in ('f', 'cx', 'cy', 'b1', 'b2')}
    numbers |= {name: _float(name, texts.pop(name, '0')) for name in ('width', 'height')}
    k = [_float(f'k{i}', texts.pop(f'k{i}', '0')) for i in (1, 2, 3, 4)]
    p1, p2 = (_float(name, texts.pop(name, '0')) for name in ('p1', 'p2'))
    values: dict[str, Any] = {
        'camera_model': projection or 'frame',
        'width': numbers['width'],
        'height': numbers['height'],
        'fx': numbers['f'] + numbers['b1'],
        'fy': numbers['f'],
        'cx': numbers['width'] / 2 + numbers['cx'] - 0.5,
        'cy': numbers['height'] / 2 + numbers['cy'] - 0.5,
        'skew': numbers['b2'],
        **texts,
    }
    if projection == 'fisheye':
        values |= {'distortion': k, 'tangential p1 p2 of a fisheye lens': [p1, p2]}
    else:
        values |= {'distortion': [k[0], k[1], p2, p1, k[2]], 'fourth radial term k4': k[3]}
    return values


def _float(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise CameraError(f'entry {name!r} is no number: {text!r}') from error


def _is_colmap(text: str) -> bool:
    first = next((line for line in text.splitlines() if line and not line.startswith('#')), '')
    words = first.split()
    return len(words) > 4 and words[0].isdigit() and bool(re.fullmatch('[A-Z][A-Z0-9_]+', words[1]))


def _colmap(text: str) -> dict[str, Any]:
    """Cameras of COLMAP's cameras.txt by their number, or the only one."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        words = line.split()
        if words and not line.lstrip().startswith('#'):
            found[f'camera{words[0]}'] = _colmap_line(words)
    return next(iter(found.values())) if len(found) == 1 else found


def _colmap_line(words: list[str]) -> dict[str, Any]:
    if len(words) < 5:
        raise CameraError(f'camera {words[0]} lacks numbers; id, model, size and parameters follow')
    return colmap_entries(words[1], words[2], words[3], words[4:])


def colmap_entries(name: str, width: Any, height: Any, parameters: list[Any]) -> dict[str, Any]:
    """A COLMAP camera in our terms: pixels count from the middle of the first one.

    Raises CameraError for a model that is not supported or another count of parameters.
    """
    names = COLMAP_PARAMETERS.get(name)
    if names is None:
        known = ', '.join(COLMAP_PARAMETERS)
        raise CameraError(
            f'COLMAP camera model {name} is not supported, only {known}; undistort the images '
            '(colmap image_undistorter) or calibrate with one of these'
        )
    if len(parameters) != len(names):
        raise CameraError(f'{name} takes {len(names)} parameters, not {len(parameters)}')
    given = {key: _float(key, str(value)) for key, value in zip(names, parameters, strict=True)}
    values: dict[str, Any] = {'width': width, 'height': height, 'camera_model': name}
    f = given.get('f', 0.0)
    values |= {'fx': given.get('fx', f), 'fy': given.get('fy', f)}
    values |= {'cx': given['cx'] - 0.5, 'cy': given['cy'] - 0.5}
    order = [key for key in names if key[0] in 'kp']
    coefficients = [given[key] for key in order]
    if name.endswith('FISHEYE'):
        coefficients = (coefficients + [0.0] * 4)[:4]
    return {**values, 'distortion': coefficients}


def _realsense_sections(text: str) -> dict[str, Any]:
    """Output of `rs-enumerate-devices -c`: a section for each stream and size."""
    found: dict[str, Any] = {}
    section: dict[str, Any] = {}
    for line in text.splitlines():
        head = _REALSENSE_SECTION.match(line)
        name, colon, value = line.partition(':')
        if head:
            section = found.setdefault(f'{head[1]} {head[2]}', {})
        elif re.match(r'\s*(Extrinsic|Device|Stream)', line):
            section = {}
        elif colon and value.strip():
            section[name.strip()] = value.strip()
    return next(iter(found.values())) if len(found) == 1 else found


def _realsense_repr(text: str) -> dict[str, Any]:
    """What pyrealsense2 prints of intrinsics."""
    match = _REALSENSE_REPR.match(text)
    if match is None:
        raise CameraError('is no text of librealsense')
    names = ('width', 'height', 'ppx', 'ppy', 'fx', 'fy', 'model', 'coeffs')
    return dict(zip(names, match.groups(), strict=True))
