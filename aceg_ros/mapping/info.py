"""What a new map says of itself before it is tested."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

from aceg_ros.engine import Engine
from aceg_ros.geometry.cameras import Camera
from aceg_ros.maps.code import KnownCamera, MapInfo, Session, Vector3


def new_map_info(
    engine: Engine,
    cameras: Mapping[Camera, KnownCamera],
    metric: bool,
    origin: Vector3,
    session: str,
) -> MapInfo:
    """Of a map of one recording; ``session`` is its name, by default the time.

    ``cameras`` are those that recorded it, and what their images say of each.
    """
    changed = any(known != KnownCamera(given) for given, known in cameras.items())
    created = datetime.now(timezone.utc).isoformat(timespec='seconds')
    return MapInfo(
        encoder=engine.encoder.identity,
        regressor=engine.regressor.codes(),
        metric=metric,
        cameras=tuple(cameras),
        known=tuple(cameras.values()) if changed else (),
        created=created,
        origin=origin,
        sessions=(Session(session or created, created, tuple(range(len(cameras)))),),
    )
