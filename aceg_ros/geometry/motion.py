"""How fast things move, and how clocks do."""

from __future__ import annotations

from dataclasses import dataclass

# A stamp this much (s) before the newest is a clock set back, not a message that came late.
CLOCK_SET_BACK = 0.5


@dataclass(frozen=True)
class MotionLimits:
    """What a robot or a camera can do; a faster change of its pose is a jump."""

    speed: float = 2.0  # m/s
    turn: float = 180.0  # deg/s
