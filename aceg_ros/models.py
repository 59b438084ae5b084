"""Where the trained networks lie that come with the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from aceg_ros.errors import WeightsError

FOLDER_VARIABLE = 'ACEG_MODELS'

_PACKAGE = Path(__file__).resolve().parent
_SHARE = Path('share', 'aceg_ros')
# <prefix>/local/lib/python3.10/dist-packages is the deepest place that installers choose.
_LEVELS_BELOW_PREFIX = 4


def model_path(name: str) -> Path:
    """Find the model file `name`, such as 'compact.safetensors'.

    First comes the folder named by the environment variable ACEG_MODELS, then the user's own,
    ~/.local/share/aceg_ros/models. Last comes `models/` of the checkout that the package runs from,
    or share/aceg_ros/models of its prefix. Raises WeightsError, naming these places, when none has
    the file.
    """
    places = model_folders()
    for place in places:
        if (place / name).is_file():
            return place / name
    looked_in = ''.join(f'\n  {place}' for place in places)
    raise WeightsError(
        f'the model {name} is missing. Install aceg_ros again, or set {FOLDER_VARIABLE} to the '
        f'folder that has it. Looked in:{looked_in}'
    )


def users_folder() -> Path:
    """The folder for models that a user adds; it need not be there."""
    data = os.environ.get('XDG_DATA_HOME') or Path.home() / '.local' / 'share'
    return Path(data).expanduser() / 'aceg_ros' / 'models'


def model_folders() -> list[Path]:
    """Folders that may hold models, the first choice first; not all need to be there."""
    places = []
    if os.environ.get(FOLDER_VARIABLE):
        places.append(Path(os.environ[FOLDER_VARIABLE]).expanduser())
    places.append(users_folder())
    checkout = _PACKAGE.parent
    if (checkout / 'package.xml').is_file():
        places.append(checkout / 'models')
    else:
        above = _PACKAGE.parents[: _LEVELS_BELOW_PREFIX + 1]
        prefix = next((path for path in above if (path / _SHARE).is_dir()), Path(sys.prefix))
        places.append(prefix / _SHARE / 'models')
    return places
