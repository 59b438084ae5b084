"""What localizers answer to nav_msgs/LoadMap, in words."""

from __future__ import annotations

from nav_msgs.srv import LoadMap

_REASONS = {
    LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST: 'it does not find the map; does it run elsewhere?',
    LoadMap.Response.RESULT_INVALID_MAP_DATA: 'it cannot read the map',
    LoadMap.Response.RESULT_INVALID_MAP_METADATA: 'it has another version of aceg_ros',
}


def why_not_loaded(response: LoadMap.Response) -> str:
    """Why the localizer has not loaded the map; empty when it has."""
    if response.result == LoadMap.Response.RESULT_SUCCESS:
        return ''
    return _REASONS.get(response.result, 'its log says why')
