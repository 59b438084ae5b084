"""What a new map says of itself before it is tested."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from aceg_ros.engine import Engine
from aceg_ros.geometry.cameras import Camera
from aceg_ros.maps.code import MapInfo, Session, Vector3


def new_map_info(
    engine: Engine, cameras: Iterable[Camera], metric: bool, origin: Vector3, session: str
) -> MapInfo:
    """Of a map of one recording by ``cameras``; ``session`` is its name, by default the time."""
    different = tuple(dict.fromkeys(cameras))
    created = datetime.now(timezone.utc).isoformat(timespec='seconds')
    return MapInfo(
        encoder=engine.encoder.identity,
        regressor=engine.regressor.codes(),
        metric=metric,
        cameras=different,
        created=created,
        origin=origin,
        sessions=(Session(session or created, created, tuple(range(len(different)))),),
    )
