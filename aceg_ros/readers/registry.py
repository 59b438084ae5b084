"""Which reader a map code needs."""

from __future__ import annotations

from aceg_ros.engine import Engine, check_networks
from aceg_ros.maps.code import ANCHORED, FREE, MapCode
from aceg_ros.readers.anchored import AnchoredReader
from aceg_ros.readers.base import CodeReader
from aceg_ros.readers.free import FreeReader
from aceg_ros.readers.options import ReaderOptions

# A new kind of code adds a reader here, options by its name to `ReaderOptions`, and a mapper.
_READERS = {ANCHORED: AnchoredReader, FREE: FreeReader}


def reader_of(code: MapCode, engine: Engine, options: ReaderOptions | None = None) -> CodeReader:
    """A reader of ``code``; raises MapCodeError when it was made with other networks."""
    check_networks(code.info, engine)
    engine.regressor.to(engine.encoder.device).eval()
    reader: CodeReader = _READERS[code.kind](
        code, engine, getattr(options or ReaderOptions(), code.kind)
    )
    return reader
