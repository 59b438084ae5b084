"""The whole configuration: every option of mapping and localization, in one place.

Defaults stand with the stages that use them. They are changed in Python, by a YAML file
(`--config`), or by dotted names (`--set localization.gate.min_inliers=40`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from math import inf

import yaml

from aceg_ros.localization.options import LocalizationOptions
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.options import Knob, Options, knobs

_HEAD = """\
# Options

<!-- Written by `make documents` from the code; change the text there. -->

Every option of mapping and localization, with its default.

- Change one option by its dotted name: `aceg map ... --set mapping.fit.epochs=10`.
- Change many by a YAML file: `--config options.yaml`.
- `aceg options > options.yaml` writes such a file to start from.
- In Python they are dataclasses: `aceg.MappingOptions` and `aceg.LocalizationOptions`.

Pixels are those of the working image, which has at most 1.2 times the pixels of 640x480.

"""


@dataclass(frozen=True)
class Config(Options):
    """Options of all stages."""

    mapping: MappingOptions = field(default_factory=MappingOptions)
    localization: LocalizationOptions = field(default_factory=LocalizationOptions)


def as_yaml(config: Config) -> str:
    """The configuration as a YAML file, each option with its meaning as a comment."""
    lines: list[str] = []
    before: list[str] = []
    for knob in knobs(config):
        *sections, name = knob.name.split('.')
        for depth, section in enumerate(sections):
            if before[: depth + 1] != sections[: depth + 1]:
                lines.append(f'{"  " * depth}{section}:')
                before = sections[: depth + 1]
        before = sections
        indent = '  ' * len(sections)
        lines.append(f'{indent}# {_described(knob)}')
        lines.append(f'{indent}{name}: {_value(knob.default)}')
    return '\n'.join(lines) + '\n'


def as_page() -> str:
    """All options with their defaults as a Markdown page."""
    parts = [_HEAD]
    for section, group in groupby(knobs(Config()), lambda knob: knob.name.rpartition('.')[0]):
        parts.append(f'## {section}\n\n| option | default | |\n| --- | --- | --- |\n')
        for knob in group:
            name = knob.name.rpartition('.')[2]
            parts.append(f'| `{name}` | {_value(knob.default)} | {_described(knob)} |\n')
        parts.append('\n')
    return ''.join(parts).rstrip() + '\n'


def _described(knob: Knob) -> str:
    bounds = _range(knob)
    return f'{knob.meaning} {bounds}.' if bounds else knob.meaning


def _range(knob: Knob) -> str:
    unit = f' {knob.unit}' if knob.unit else ''
    if knob.choices:
        return f'One of {", ".join(knob.choices)}'
    if knob.low == -inf and knob.high == inf:
        return f'In{unit}' if unit else ''
    if knob.high == inf:
        return f'At least {knob.low:g}{unit}'
    return f'From {knob.low:g} to {knob.high:g}{unit}'


def _value(value: object) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True).replace('\n...', '').strip()
