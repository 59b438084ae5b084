"""Whether mapping poses come from a localizer, whose errors would go into the new map."""

from __future__ import annotations

from collections.abc import Iterable

from rclpy.node import Node, NodeNameNonExistentError

_SIGN = 'relocalize'  # a service that localizers have, whatever they are called


def localizers(node: Node, names: Iterable[str]) -> list[str]:
    """Those of some other nodes, by their full names, that are localizers of this package."""
    return [name for name in sorted(names) if _is_localizer(node, name)]


def _is_localizer(node: Node, full_name: str) -> bool:
    namespace, _, name = full_name.rpartition('/')
    if not full_name.startswith('/'):  # discovered so recently that its name is not known yet
        return False
    try:
        services = node.get_service_names_and_types_by_node(name, namespace or '/')
    except NodeNameNonExistentError:  # it has ended
        return False
    return (f'{full_name}/{_SIGN}', ['std_srvs/srv/Trigger']) in services
