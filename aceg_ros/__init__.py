"""Camera relocalization by scene coordinate regression with map codes.

Posed images of a place become a map code, a small set of vectors. A network that is the same for
every place reads the code. It gives the scene coordinate of each patch of a new image, and the pose
of the camera follows from these.

    import aceg_ros as aceg

    result = aceg.map_dataset(aceg.open_dataset('recordings/kitchen'))
    aceg.save_map('kitchen.aceg', result.code)
    localizer = aceg.Localizer.open('kitchen.aceg')
    answer = localizer.localize(aceg.read_image('photo.jpg'), aceg.read_camera('camera.yaml'))
    print(answer.world_from_cam if answer else answer.message)

The names in `__all__` are public; the rest of the package may change. A name is imported when it is
first used, because importing PyTorch takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aceg_ros.threads import wait_idly

if TYPE_CHECKING:
    from aceg_ros.datasets.base import Dataset, Frame
    from aceg_ros.datasets.calibration import read_camera
    from aceg_ros.datasets.detect import open_dataset
    from aceg_ros.datasets.images import read_image
    from aceg_ros.engine import Engine
    from aceg_ros.errors import AcegError
    from aceg_ros.evaluation.metrics import evaluate
    from aceg_ros.geometry.cameras import Camera
    from aceg_ros.geometry.rigs import Rig
    from aceg_ros.localization.localizer import Localizer
    from aceg_ros.localization.options import LocalizationOptions
    from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
    from aceg_ros.localization.several import MapSet
    from aceg_ros.mapping.extension import extend_map
    from aceg_ros.mapping.mapper import map_dataset
    from aceg_ros.mapping.options import MappingOptions
    from aceg_ros.maps.code import MapCode
    from aceg_ros.maps.file import read_map as load_map
    from aceg_ros.maps.file import write_map as save_map
    from aceg_ros.maps.sessions import joined as merge_maps
    from aceg_ros.monitor import Monitor

__version__ = '0.1.0'

wait_idly()  # PyTorch is not loaded yet, unless the caller did

# Where each public name is defined, and what it is called there if not the same.
_PUBLIC = {
    'AcegError': 'errors',
    'Camera': 'geometry.cameras',
    'Dataset': 'datasets.base',
    'Engine': 'engine',
    'Frame': 'datasets.base',
    'Localization': 'localization.result',
    'LocalizationFailure': 'localization.result',
    'LocalizationOptions': 'localization.options',
    'Localizer': 'localization.localizer',
    'MapCode': 'maps.code',
    'MapSet': 'localization.several',
    'MappingOptions': 'mapping.options',
    'Monitor': 'monitor',
    'Reason': 'localization.result',
    'Rig': 'geometry.rigs',
    'evaluate': 'evaluation.metrics',
    'extend_map': 'mapping.extension',
    'load_map': 'maps.file:read_map',
    'map_dataset': 'mapping.mapper',
    'merge_maps': 'maps.sessions:joined',
    'open_dataset': 'datasets.detect',
    'read_camera': 'datasets.calibration',
    'read_image': 'datasets.images',
    'save_map': 'maps.file:write_map',
}

__all__ = [
    'AcegError',
    'Camera',
    'Dataset',
    'Engine',
    'Frame',
    'Localization',
    'LocalizationFailure',
    'LocalizationOptions',
    'Localizer',
    'MapCode',
    'MapSet',
    'MappingOptions',
    'Monitor',
    'Reason',
    'Rig',
    'evaluate',
    'extend_map',
    'load_map',
    'map_dataset',
    'merge_maps',
    'open_dataset',
    'read_camera',
    'read_image',
    'save_map',
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    module, _, there = _PUBLIC[name].partition(':')
    value = getattr(import_module(f'{__name__}.{module}'), there or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
