"""The page docs/api.md: what `aceg_ros.__all__` offers, from its docstrings; needs no ROS."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections.abc import Iterator
from typing import Any, get_args

import aceg_ros
from aceg_ros.options import Options

_HEAD = """\
# API

<!-- Written by `make documents` from the docstrings; change the text there. -->

Everything public: `import aceg_ros as aceg`, then `aceg.NAME`. The rest of the package may change.
Poses are `world_from_cam`, 4x4, in the unit of the mapping poses
([conventions](architecture.md#conventions)).
"""
# Such as "    answer: Localization  # what was found".
_FIELD = re.compile(r'^    (\w+)(?:: [^=#\n]+)?(?: = [^#\n]*)?  # (.*)$', re.MULTILINE)


def as_page() -> str:
    """The page in Markdown: functions first, then classes, both by name."""
    things = {name: getattr(aceg_ros, name) for name in aceg_ros.__all__}
    functions = [name for name, thing in things.items() if inspect.isfunction(thing)]
    classes = [name for name in things if name not in functions]
    parts = [_HEAD]
    for title, names in (('Functions', functions), ('Classes', classes)):
        parts.append(f'## {title}\n')
        parts += [_section(name, things[name]) for name in sorted(names)]
    return '\n'.join(parts)


def _section(name: str, thing: Any) -> str:
    lines = [f'### {name}', '']
    if inspect.isfunction(thing):
        return '\n'.join([*lines, *_callable(name, thing)])
    kinds = get_args(thing)
    if kinds:  # of a union
        lines += [f'One of {", ".join(f"`{kind.__name__}`" for kind in kinds)}.', '']
        return '\n'.join([*lines, *(f'#{_section(kind.__name__, kind)}' for kind in kinds)])
    lines += [_text(thing), '']
    if issubclass(thing, Options):
        return '\n'.join([*lines, 'Its fields are in [options.md](options.md).', ''])
    lines += _fields(thing)
    fields = getattr(thing, '__dataclass_fields__', ())
    for attribute, value in vars(thing).items():
        if attribute.startswith('_') or attribute in fields:
            continue
        if isinstance(value, property):
            lines += [f'**`{attribute}`**: {_text(value)}', '']
        elif inspect.isfunction(value) or isinstance(value, classmethod | staticmethod):
            lines += _callable(attribute, getattr(thing, attribute))
    return '\n'.join(lines)


def _callable(name: str, function: Any) -> Iterator[str]:
    """Signature and docstring."""
    # Annotations are texts, which come quoted.
    signature = re.sub(r"(: |-> )'([^']*)'", r'\1\2', str(inspect.signature(function)))
    signature = re.sub(r'^\(self(?:, )?', '(', signature)
    yield from ('```python', f'{name}{signature}', '```', '', _text(function), '')


def _fields(thing: type) -> Iterator[str]:
    """A list of the fields of a dataclass or the members of an enumeration, with their comments."""
    if dataclasses.is_dataclass(thing):
        names = [field.name for field in dataclasses.fields(thing)]
        types = {field.name: f': `{field.type}`' for field in dataclasses.fields(thing)}
    elif issubclass(thing, enum.Enum):
        names = list(thing.__members__)
        types = {name: f' = `{member.value!r}`' for name, member in thing.__members__.items()}
    else:
        return
    comments = dict(_FIELD.findall(inspect.getsource(thing)))
    for name in names:
        comment = comments.get(name, '')
        yield f'- `{name}`{types[name]}{f", {comment}" if comment else ""}'
    yield ''


def _text(thing: Any) -> str:
    """A docstring as Markdown."""
    return (inspect.getdoc(thing) or '').replace('``', '`')
