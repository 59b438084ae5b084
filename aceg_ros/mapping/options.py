"""Options of mapping, by stage. Defaults map a room in well under a minute on two CPU cores."""

from __future__ import annotations

from dataclasses import dataclass, field

from aceg_ros.mapping.ace_g.schedule import SCHEDULES, AceGSchedule
from aceg_ros.options import Options, option

MIN_KEYFRAMES = 5  # fewer do not make a map


@dataclass(frozen=True)
class FitOptions(Options):
    """The fit of an anchored code to the patches of all keyframes."""

    epochs: int = option(
        40, 'Passes over the buffer at most; it ends earlier when it converges.', low=1
    )
    batch: int = option(4096, 'Patches in a step.', low=1)
    buffer_patches: int = option(
        160_000, 'Patches in memory, whatever the number of keyframes.', low=1
    )
    augmented: float = option(
        0.2,
        'Part of the buffer that is of turned, scaled and relit copies. They teach the code to be '
        'read from afar and under other light.',
        low=0,
        high=0.999,
    )
    near_view_angle: float = option(
        4.0,
        'Changed copies do not read tokens of views nearer than this parallax, so that they have '
        'to be recognized from afar.',
        'deg',
        low=0,
        high=180,
    )


@dataclass(frozen=True)
class FreeOptions(Options):
    """The fit of a free code, as the published ACE-G's."""

    schedule: AceGSchedule = field(default_factory=lambda: SCHEDULES['ace-g-5min'])
    memory: float = option(0.0, "Of the device's memory that may be used; 0: all.", 'GB', low=0)


@dataclass(frozen=True)
class MappingOptions(Options):
    """All of mapping."""

    budget: float = option(
        60.0, 'For all of mapping; the fit ends in time, or when it has converged.', 's', low=0.001
    )
    max_keyframes: int = option(
        400, 'Keyframes that are mapped, evenly chosen where a recording has more.', low=1
    )
    held_out: float = option(
        0.08, 'Part of the keyframes that the map is tested on; at most 12.', low=0, high=0.999
    )
    tokens: int = option(6144, 'Size of the code; a token takes about 90 bytes.', low=1)
    landmarks: int = option(
        2500, 'Points that make poses exact, at most; one takes 82 bytes.', low=0
    )
    use_depth: bool = option(
        False, 'Take the places of tokens from depth images that are registered to the color.'
    )
    seed: int = option(0, 'Of everything random.', low=0)
    fit: FitOptions = field(default_factory=FitOptions)
    free: FreeOptions = field(default_factory=FreeOptions)
