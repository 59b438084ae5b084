"""New posed images join a map that exists; the images that it was made from are not needed."""

from __future__ import annotations

from collections.abc import Sequence

from aceg_ros.datasets.base import Frame
from aceg_ros.engine import Engine
from aceg_ros.mapping.anchored import map_anchored
from aceg_ros.mapping.info import new_map_info
from aceg_ros.mapping.mapper import on_gpu_or_cpu
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.mapping.result import MappingResult, OnFirstMap
from aceg_ros.maps.code import MapCode
from aceg_ros.maps.sessions import check_joinable, require_anchored
from aceg_ros.monitor import Monitor


def extend_map(
    code: MapCode,
    frames: Sequence[Frame],
    engine: Engine,
    options: MappingOptions | None = None,
    metric: bool = True,
    monitor: Monitor | None = None,
    on_first_map: OnFirstMap | None = None,
    session: str = '',
) -> MappingResult:
    """The map with frames added, whose poses are in its world; ``session`` names them.

    The frames are mapped by themselves and joined to the map, whose own tokens, landmarks and
    keyframes stay as they are. The result's report on the new session is of the map as a whole.
    Raises MapCodeError where the frames cannot join the map, else as `mapping.mapper.map_scene`.
    """
    base = require_anchored(code, 'the map')
    # Refused before the minutes of a fit, not after it.
    new = new_map_info(engine, {}, metric, base.info.origin, session)
    check_joinable(base.info, new)
    monitor, chosen = monitor or Monitor(), options or MappingOptions()

    def fit() -> MappingResult:
        return map_anchored(frames, engine, chosen, metric, monitor, on_first_map, session, base)

    return on_gpu_or_cpu(fit, engine, monitor)
