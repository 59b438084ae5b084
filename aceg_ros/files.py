"""Writing files so that a crash or a full disk never harms what was there before."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_PARTIAL = '.part'


def write_atomically(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``, all of it or nothing; a file already there stays whole until then.

    Raises OSError when the disk is full or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(
        dir=path.parent, prefix=f'.{path.name}.', suffix=_PARTIAL
    )
    try:
        with os.fdopen(descriptor, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, path)
        _sync_folder(path.parent)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder outlive a power cut, as its files do."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def leftovers(folder: Path) -> list[Path]:
    """Half-written files in ``folder``, left behind by a process that was killed; sorted."""
    return sorted(folder.glob(f'.*{_PARTIAL}'))
