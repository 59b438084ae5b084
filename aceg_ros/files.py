"""Writing files so that a crash or a full disk never harms what was there before."""

from __future__ import annotations

import glob
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_PARTIAL = '.part'
# Seconds after which a half-written file is nobody's: writing takes a few at most.
_ABANDONED = 600.0


def write_atomically(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``, all of it or nothing; a file already there stays whole until then.

    The data and their name are on the disk when this returns. Raises OSError when the disk is full
    or the folder cannot be written.
    """
    make_folder(path.parent)
    if path.exists():
        if not path.is_file():  # /dev/stdout is written to, not replaced
            path.write_bytes(data)
            return
        _remove_abandoned(path)
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
        sync_folder(path.parent)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing; raises OSError when that fails."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder outlive a power cut, as its files do."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def leftovers(folder: Path) -> list[Path]:
    """Half-written files in ``folder``, left behind by a process that was killed; sorted."""
    return sorted(folder.glob(f'.*{_PARTIAL}'))


def _remove_abandoned(path: Path) -> None:
    """Remove what killed processes left of earlier tries to write ``path``; else they pile up."""
    for file in path.parent.glob(f'.{glob.escape(path.name)}.*{_PARTIAL}'):
        with suppress(OSError):  # another process removes it too
            if time.time() - file.stat().st_mtime > _ABANDONED:
                file.unlink()
