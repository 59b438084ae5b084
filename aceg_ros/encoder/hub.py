"""Where DINOv2 networks lie on this machine, and how to get one that does not."""

from __future__ import annotations

from pathlib import Path

from aceg_ros.errors import WeightsError
from aceg_ros.models import model_folders

DEFAULT = 'dinov2-with-registers-large'  # the published ACE-G's
_OWNER = 'facebook'
# The hub's commits that were current when this was written.
REVISIONS = {
    'dinov2-with-registers-large': 'e4c89a4e05589de9b3e188688a303d0f3c04d0f3',
    'dinov2-with-registers-small': '0d9846e56b43a21fa46d7f3f5070f0506a5795a9',
    'dinov2-with-registers-base': 'a1d738ccfa7ae170945f210395d99dde8adb1805',
    'dinov2-with-registers-giant': '8d0d49f77fb8b5dd78842496ff14afe7dd4d85cb',
    'dinov2-small': 'ed25f3a31f01632728cabb09d1542f84ab7b0056',
    'dinov2-base': 'f9e44c814b77203eaa57a6bdbbd535f21ede1415',
    'dinov2-large': '47b73eefe95e8d44ec3623f8890bd894b6ea2d6c',
    'dinov2-giant': '611a9d42f2335e0f921f1e313ad3c1b7178d206d',
}


def dinov2_folder(source: str) -> Path:
    """The folder of a DINOv2 network.

    ``source`` is a folder, a name in `REVISIONS`, or 'dinov2' for the published ACE-G's. A name is
    looked for in the folders of models and, at the revision pinned here, in the hub's cache.
    Raises WeightsError, with the command that gets the network, where it is not.
    """
    if source not in REVISIONS and source != 'dinov2':
        folder = Path(source).expanduser()
        if not folder.is_dir():
            known = ', '.join(REVISIONS)
            raise WeightsError(
                f'there is no encoder {source}: give "compact", "dinov2", the folder of a DINOv2 '
                f'network, or one of {known}'
            )
        return folder
    name = DEFAULT if source == 'dinov2' else source
    folders = _present(name)
    if not folders:
        places = ''.join(f'\n  {place / name}' for place in model_folders())
        raise WeightsError(
            f'the network {name} is missing. Get it (Apache-2.0) with\n'
            f'  pip install huggingface_hub && {download_command(name)}\n'
            f'or put its config.json and model.safetensors into a folder and name that. '
            f"Looked in the hub's cache and in{places}"
        )
    return folders[0]


def dinov2_folders() -> list[Path]:
    """All DINOv2 networks that names stand for on this machine, the published ACE-G's first."""
    return [folder for name in REVISIONS for folder in _present(name)]


def download_command(name: str) -> str:
    """What to type to have a network in the hub's cache."""
    return f'hf download {_OWNER}/{name} config.json model.safetensors --revision {REVISIONS[name]}'


def _present(name: str) -> list[Path]:
    found = [place / name for place in model_folders() if (place / name / 'config.json').is_file()]
    cached = _in_cache(name)
    return found if cached is None else [*found, cached]


def _in_cache(name: str) -> Path | None:
    """The folder in the hub's cache; nothing is fetched."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    files = [
        try_to_load_from_cache(f'{_OWNER}/{name}', file, revision=REVISIONS[name])
        for file in ('config.json', 'model.safetensors')
    ]
    if not all(isinstance(file, str) for file in files):
        return None
    return Path(str(files[0])).parent
