"""Entries of JSON files, with errors in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aceg_ros.datasets.text import TextError, read_text
from aceg_ros.errors import CameraError, DatasetError


def read_json(file: Path) -> dict[str, Any]:
    """Entries of a JSON file; raises DatasetError when it cannot be read as such."""
    try:
        values = json.loads(read_text(file))
    except TextError as error:
        raise DatasetError(f'{file}: {error}') from error
    except json.JSONDecodeError as error:
        raise DatasetError(
            f'{file}: cannot be read as JSON (line {error.lineno}: {error.msg}); write it anew'
        ) from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f'{file}: cannot be read as JSON; write it anew') from error
    if not isinstance(values, dict):
        raise DatasetError(f'{file}: holds no entries by name; a JSON object is expected')
    return values


def number(values: dict[str, Any], name: str, file: Path) -> float:
    """A finite number of a JSON file; raises CameraError, naming the entry."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e12:
        said = 'is missing' if value is None else f'is {str(value)[:40]!r}'
        raise CameraError(f'{file}: the entry {name!r} {said}; a number is expected')
    return float(value)
