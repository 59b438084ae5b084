"""The light a world is rendered under; it changes without touching the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Channels of a light map: ambient light, then this many groups of lamps of each kind.
GROUPS = {'window': 3, 'ceiling': 2, 'lamp': 2}
CHANNELS = 1 + sum(GROUPS.values())


@dataclass(frozen=True)
class Light:
    """Which lamps burn how brightly, and how the camera takes it.

    ambient: level of light without direction. window, ceiling, lamp: levels of the groups of
    windows, ceiling lights and standing lamps; different levels within a kind change where light
    comes from. flash: light at the camera. exposure: stops over the exposure that suits the whole
    world under this light. white_balance: gains of R, G, B.
    """

    ambient: float = 0.2
    window: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ceiling: tuple[float, float] = (1.0, 1.0)
    lamp: tuple[float, float] = (1.0, 1.0)
    flash: float = 0.0
    exposure: float = 0.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def levels(self) -> tuple[float, ...]:
        """Level of each channel of a light map."""
        return (self.ambient, *self.window, *self.ceiling, *self.lamp)

    def glow_levels(self) -> tuple[float, ...]:
        """Level of each of `scene.GLOW_SOURCES`."""
        kinds = (self.window, self.ceiling, self.lamp)
        return (1.0, *(sum(kind) / len(kind) for kind in kinds))


LIGHTS = {
    'day': Light(
        window=(1.5, 0.6, 1.0),
        ceiling=(0.0, 0.0),
        lamp=(0.0, 0.0),
        ambient=0.15,
        white_balance=(0.97, 1.0, 1.03),
    ),
    'all': Light(),
    'dusk': Light(
        ambient=0.25,
        window=(0.35, 0.08, 0.2),
        ceiling=(0.0, 0.0),
        lamp=(0.6, 0.2),
        exposure=-1.2,
        white_balance=(1.12, 0.98, 0.85),
    ),
    'night': Light(ambient=0.1, window=(0.0, 0.0, 0.0), white_balance=(1.08, 1.0, 0.86)),
    'backlight': Light(
        ambient=0.15, window=(2.5, 1.5, 2.0), ceiling=(0.0, 0.0), lamp=(0.0, 0.0), exposure=-0.5
    ),
    'flash': Light(
        ambient=0.15, window=(0.1, 0.1, 0.1), ceiling=(0.1, 0.0), lamp=(0.1, 0.1), flash=2.5
    ),
}


def random_light(rng: np.random.Generator, strength: float = 1.0) -> Light:
    """Light that differs at random.

    strength: 0 is the default `Light`, 1 as varied as dusk, lamps off or a flash.
    """

    def levels(count: int) -> tuple[float, ...]:
        values = np.exp(strength * rng.normal(0, 0.8, count))
        return tuple((values * (rng.random(count) > 0.35 * strength)).tolist())

    gains = np.exp(strength * rng.normal(0, 0.12, 3) * (1.0, 0.3, 1.0))
    return Light(
        ambient=0.2 * float(np.exp(strength * rng.normal(0, 0.5))),
        window=levels(3),  # type: ignore[arg-type]
        ceiling=levels(2),  # type: ignore[arg-type]
        lamp=levels(2),  # type: ignore[arg-type]
        flash=float(rng.uniform(0, 2)) if rng.random() < 0.25 * strength else 0.0,
        exposure=float(strength * rng.uniform(-1.2, 0.8)),
        white_balance=tuple(gains.tolist()),
    )
