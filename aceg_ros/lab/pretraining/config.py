"""Every knob of pre-training, read from one YAML file and checked."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from aceg_ros.errors import ConfigError
from aceg_ros.lab.pretraining.buffers import BufferOptions
from aceg_ros.lab.pretraining.scenes import SceneSource
from aceg_ros.lab.pretraining.sources import PosedSequences, ProceduralWorlds
from aceg_ros.regressor.anchored import AnchoredConfig

T = TypeVar('T')

RANDOM = 'random'
STARTS = ('swept', 'fitted', RANDOM)  # where a code in the pool begins


@dataclass(frozen=True)
class SceneOptions:
    """Which scenes there are to train on."""

    worlds: int = 60
    first_world: int = 100_000
    mapping_views: int = 40
    query_views: int = 18
    width: int = 384
    height: int = 288
    sequences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _at_least(
            self, worlds=0, first_world=0, mapping_views=5, query_views=1, width=64, height=64
        )

    def procedural(self) -> ProceduralWorlds:
        """The worlds asked for."""
        return ProceduralWorlds(
            self.worlds,
            self.first_world,
            self.mapping_views,
            self.query_views,
            self.width,
            self.height,
        )

    def sources(self) -> list[SceneSource]:
        """Procedural worlds and posed sequences, as asked for."""
        worlds = self.procedural()
        folders = [Path(folder).expanduser() for folder in self.sequences]
        return [worlds, PosedSequences(folders)]


@dataclass(frozen=True)
class ReaderOptions:
    """Shape of the regressor to train; the length of its features is that of the scenes'."""

    blocks: int = 3
    dim: int = 32
    tokens_read: int = 8
    temperature: float = 48.0
    spread_weight: float = 0.3

    def shape(self, dim_in: int) -> AnchoredConfig:
        """The same for features of ``dim_in`` numbers."""
        return AnchoredConfig(dim_in=dim_in, **asdict(self))


@dataclass(frozen=True)
class ScheduleOptions:
    """How mapping and query iterations alternate."""

    iterations: int = 16_000
    mapping: int = 1
    query: int = 1
    network_every: int = 2
    slots: int = 2
    pool: int = 48
    life: int = 60
    views: int = 2
    patches: int = 512
    start: str = 'fitted'
    scenes: int = 0
    mapping_loss: str = 'rays'
    query_loss: str = 'rays'
    image_context: float = 0.8
    choice_weight: float = 1.0
    learning_rate: float = 3e-3
    code_rate: float = 0.3
    weight_decay: float = 0.01
    warmup: float = 0.03
    dropout: float = 0.05
    clip: float = 1.0
    checkpoint_seconds: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ConfigError for numbers that no training can work with."""
        ones = ('iterations', 'network_every', 'slots', 'life', 'views', 'patches', 'mapping')
        _at_least(self, **dict.fromkeys(ones, 1), query=0, pool=self.slots, scenes=0)
        if self.start not in STARTS:
            raise ConfigError(f'schedule.start is one of {", ".join(STARTS)}, not {self.start!r}')
        for name in ('mapping_loss', 'query_loss'):
            if getattr(self, name) not in ('rays', 'points'):
                value = getattr(self, name)
                raise ConfigError(f"schedule.{name} is 'rays' or 'points', not {value!r}")
        for name in ('image_context', 'dropout', 'warmup'):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f'schedule.{name} lies in 0..1, not {getattr(self, name)}')
        for name in ('learning_rate', 'code_rate', 'clip'):
            if not getattr(self, name) > 0:
                raise ConfigError(f'schedule.{name} must be above 0, not {getattr(self, name)}')


@dataclass(frozen=True)
class PretrainOptions:
    """All of a pre-training: the sections of the YAML file."""

    scenes: SceneOptions = field(default_factory=SceneOptions)
    buffers: BufferOptions = field(default_factory=BufferOptions)
    reader: ReaderOptions = field(default_factory=ReaderOptions)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)


def read_options(path: Path, changes: list[str] | None = None) -> PretrainOptions:
    """Read a YAML file; ``changes`` such as 'schedule.query=0' come on top.

    Raises ConfigError for a file that is none, an unknown key, or a value of another type.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f'{path} cannot be read as YAML: {error}') from error
    if not isinstance(values, dict):
        raise ConfigError(f'{path} must hold sections, such as "schedule:"')
    for change in changes or []:
        name, equals, text = change.partition('=')
        section, dot, key = name.partition('.')
        if not (equals and dot):
            raise ConfigError(f'{change!r} is no change; write it as schedule.query=0')
        inner = values.setdefault(section, {})
        if isinstance(inner, dict):
            inner[key] = yaml.safe_load(text)
    return _filled(PretrainOptions(), values, '')


def _filled(defaults: T, values: Any, where: str) -> T:
    """An options object from a mapping; what that lacks is as in ``defaults``."""
    if not isinstance(values, dict):
        raise ConfigError(f'{where} must hold keys and values, not {values!r}')
    known = [entry.name for entry in fields(defaults)]  # type: ignore[arg-type]
    given: dict[str, Any] = {name: getattr(defaults, name) for name in known}
    for name, value in values.items():
        full = f'{where}.{name}' if where else str(name)
        if name not in known:
            raise ConfigError(f'there is no {full}; known are: {", ".join(known)}')
        default = given[name]
        if is_dataclass(default):
            given[name] = _filled(default, value, full)
        else:
            given[name] = _converted(value, default, full)
    return type(defaults)(**given)


def _converted(value: Any, default: Any, name: str) -> Any:
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(str(entry) for entry in value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, float) and (whole or isinstance(value, float)):
        if math.isfinite(value):
            return float(value)
    elif type(value) is type(default):
        return value
    raise ConfigError(f'{name} must be like {default!r}, not {value!r}')


def _at_least(options: Any, **least: int) -> None:
    for name, bound in least.items():
        if getattr(options, name) < bound:
            raise ConfigError(f'{name} must be {bound} or more, not {getattr(options, name)}')
