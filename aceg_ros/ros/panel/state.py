"""What was heard of the nodes, and the state that the page is sent of it; knows no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from aceg_ros.geometry.poses import Array
from aceg_ros.ros.panel.topview import Ground, Scene

if TYPE_CHECKING:
    from aceg_ros.ros.status_values import FitValues, LocalizationValues

RECORDING, MAP = 'recording', 'map'  # whose scene is drawn


@dataclass
class HeardOfMapper:
    """The last of each topic of the mapper."""

    status: str = ''  # 'state: words'
    fit: FitValues | None = None
    fit_message: str = ''
    scene: Scene = field(default_factory=Scene)


@dataclass
class HeardOfLocalizer:
    """The last of each topic of the localizer."""

    status: str = ''  # 'state: words'
    localization: LocalizationValues | None = None
    map: Mapping[str, str] = field(default_factory=dict)  # values of its status on /diagnostics
    pose: tuple[Array, Array] | None = None  # (4, 4) in the map, covariance (6, 6)
    scene: Scene = field(default_factory=Scene)


@dataclass(frozen=True)
class Presence:
    """Whether a node is there, and values of its parameters."""

    missing: str  # what to do about it; empty while the node is there
    parameters: Mapping[str, str] = field(default_factory=dict)


def mapper_state(heard: HeardOfMapper, presence: Presence) -> dict[str, Any]:
    """What the page shows of the mapper."""
    if presence.missing:
        return _missing(presence)
    state, words = _parted(heard.status)
    fit = None
    # What was running when a mapper ended runs no more in the next one.
    if heard.fit is not None and (heard.fit.state != 'running' or 'fitting' in state):
        fit = asdict(heard.fit) | {'message': heard.fit_message}
    return {
        'there': True,
        'state': state,
        'words': words,
        'keyframes': len(heard.scene.world_from_cams),
        'fit': fit,
        'map': presence.parameters.get('map', ''),
    }


def localizer_state(
    heard: HeardOfLocalizer, presence: Presence, ground: Ground | None
) -> dict[str, Any]:
    """What the page shows of the localizer; its pose only while it holds.

    `ground` is that of the map that is drawn; None while another place is.
    """
    if presence.missing:
        return _missing(presence)
    state, words = _parted(heard.status)
    localized = state == 'localized' and heard.pose is not None
    return {
        'there': True,
        'state': state,
        'words': words,
        'maps': _maps_in_use(heard.map),
        'values': None if heard.localization is None else asdict(heard.localization),
        'pose': _pose(*heard.pose, ground) if localized and heard.pose else None,
    }


def shown_scene(mapper: dict[str, Any], localizer: Presence, map_: Scene) -> str:
    """Whose scene is drawn: the recording while it is worked on or there is no map, else the map.

    `mapper` is the state of the mapper, `map_` the scene of the localizer.
    """
    working = mapper['there'] and mapper['state'] not in ('', 'idle')
    has_map = not localizer.missing and len(map_.points) > 0
    return MAP if has_map and not working else RECORDING


def _maps_in_use(values: Mapping[str, str]) -> list[dict[str, str]]:
    """The values of each map; of several, each value has the name of its map before it."""
    maps: dict[str, dict[str, str]] = {}
    for key, value in values.items():
        name, _, what = key.rpartition('.')
        maps.setdefault(name, {})[what] = value
    return [told for told in maps.values() if told.get('file')]


def _missing(presence: Presence) -> dict[str, Any]:
    return {'there': False, 'state': '', 'words': presence.missing}


def _parted(status: str) -> tuple[str, str]:
    """State and words of a ~/status."""
    state, _, words = status.partition(': ')
    return state, words


def _pose(pose: Array, covariance: Array, ground: Ground | None) -> dict[str, Any]:
    """Position and standard deviations, and how the pose is drawn."""
    told: dict[str, Any] = {
        'position': np.round(pose[:3, 3], 3).tolist(),
        'sigma': round(_largest_sigma(covariance[:3, :3]), 4),
        'sigma_deg': round(float(np.degrees(_largest_sigma(covariance[3:, 3:]))), 3),
        'drawn': None,
    }
    if ground is not None:
        at = ground.place(pose[None, :3, 3])[0, :2]
        told['drawn'] = np.round(np.hstack([at, ground.heading(pose)]), 3).tolist()
    return told


def _largest_sigma(covariance: Array) -> float:
    """Standard deviation in the direction where it is largest."""
    return float(np.sqrt(max(np.linalg.eigvalsh(covariance)[-1], 0.0)))
