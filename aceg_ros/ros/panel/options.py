"""Parameters of the panel."""

from __future__ import annotations

from ipaddress import ip_address

from aceg_ros.ros.common_options import COMPRESSED, IMAGE_QOS, IMAGE_TIMEOUT
from aceg_ros.ros.panel.topview import AUTO, Z
from aceg_ros.ros.parameter_table import Group, Parameter, parameters_of


def _check_host(value: str) -> str | None:
    if value == 'localhost':
        return None
    try:
        ip_address(value)
    except ValueError:
        return 'is no address: give an IP address of this computer, or localhost'
    return None


def _check_name(value: str) -> str | None:
    return None if value.strip('/') else 'is empty: give the name of a node'


GROUPS = (
    Group(
        'Page',
        (
            Parameter(
                'host',
                '127.0.0.1',
                'Address to serve the page at. `0.0.0.0` serves it to the whole network, without a '
                'password.',
                read_only=True,
                check=_check_host,
            ),
            Parameter(
                'port',
                8420,
                'Port to serve the page at. 0 takes a free one, which the log names.',
                minimum=0,
                maximum=65535,
                read_only=True,
            ),
            Parameter(
                'image_width',
                640,
                'Width of the camera image on the page; larger ones are made smaller.',
                unit='pixels',
                minimum=64,
                maximum=4096,
            ),
            Parameter(
                'up',
                AUTO,
                'What is up in the view from above: `z` of the map. `auto` asks the cameras where '
                'they all stand otherwise in it.',
                choices=(AUTO, Z),
                read_only=True,
            ),
        ),
    ),
    Group(
        'Nodes and camera',
        (
            Parameter(
                'mapper',
                'aceg_mapper',
                'Name of the mapper, with its namespace if that is another one.',
                read_only=True,
                check=_check_name,
            ),
            Parameter(
                'localizer',
                'aceg_localizer',
                'Name of the localizer, with its namespace if that is another one.',
                read_only=True,
                check=_check_name,
            ),
            COMPRESSED,
            IMAGE_QOS,
            IMAGE_TIMEOUT,
        ),
    ),
)
PARAMETERS = parameters_of(GROUPS)
