"""A fit as a process of its own: `python -m aceg_ros.mapping.worker`, see `mapping.background`.

The job comes as a line of JSON on standard input; progress and the outcome go as lines of JSON to
standard output. The line 'cancel', or the end of the input when the parent is gone, ends the fit.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, TextIO

from aceg_ros.datasets import open_dataset
from aceg_ros.engine import Engine, Networks
from aceg_ros.errors import AcegError, FitCancelled
from aceg_ros.mapping.extension import extend_map
from aceg_ros.mapping.mapper import map_scene
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.maps.code import MapCode
from aceg_ros.maps.file import read_map, write_map
from aceg_ros.monitor import Monitor
from aceg_ros.options import configured

_EVERY = 0.2  # s between two reports of the same stage
_GRACE = 5.0  # s for an orphan to end by itself
_NICENESS = 5  # localization goes first, without starving the fit


class _Reporter:
    """Writes events; a `Progress` too."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage = ''
        self._last = 0.0

    def __call__(self, stage: str, fraction: float, detail: str) -> None:
        now = time.monotonic()
        if stage != self._stage or now - self._last >= _EVERY:
            self._stage, self._last = stage, now
            self.send(event='progress', stage=stage, fraction=fraction, detail=detail)

    def send(self, **event: Any) -> None:
        """Write one line; nobody reads it any more once the parent is gone."""
        try:
            self._stream.write(json.dumps(event) + '\n')
            self._stream.flush()
        except BrokenPipeError:
            pass


def main() -> int:
    """Fit as told; the exit status is 0 when there is a map."""
    # Whatever libraries print must not get between the events.
    events = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)
    os.nice(_NICENESS)
    report = _Reporter(events)
    # Unbuffered, for a thread that holds the lock of a buffer at the end would be fatal.
    orders = FileIO(0, closefd=False)
    job = json.loads(orders.readline())
    cancelled = threading.Event()
    threading.Thread(target=_await_end, args=(orders, cancelled), daemon=True).start()
    try:
        report.send(event='done', **_fit(job, report, cancelled))
    except FitCancelled as error:
        report.send(event='cancelled', message=str(error))
        return 1
    except AcegError as error:
        report.send(event='failed', message=str(error))
        return 1
    except Exception as error:
        traceback.print_exc()
        report.send(event='failed', message=f'{type(error).__name__}: {error}')
        return 1
    return 0


def _fit(job: dict[str, Any], report: _Reporter, cancelled: threading.Event) -> dict[str, Any]:
    report('load', 0.0, 'networks')
    networks = Networks(job['encoder'], job['regressor'])
    if job['base'] is None:
        engine, mapper = Engine.load(job['device'], networks), map_scene
    else:
        base = read_map(Path(job['base']))
        engine = Engine.for_map(base.info, job['device'], networks)
        mapper = partial(extend_map, base)
    dataset = open_dataset(job['recording'])

    def on_first_map(code: MapCode) -> None:
        write_map(job['first_map'], code)
        report.send(event='first map')

    result = mapper(
        dataset.frames,
        engine,
        configured(MappingOptions(), job['options']),
        dataset.metric,
        Monitor(report, cancelled.is_set),
        on_first_map,
        dataset.name,
    )
    size = write_map(job['output'], result.code)
    return {
        'keyframes': len(result.code.keyframes),
        'seconds': result.seconds,
        'map_bytes': size,
        'quality': result.code.info.quality.to_dict(),
        'skipped': [*dataset.skipped, *result.skipped],
        'notes': [*dataset.notes, *result.notes],
        'device': str(engine.encoder.device),
    }


def _await_end(orders: FileIO, cancelled: threading.Event) -> None:
    while orders.readline():
        cancelled.set()
    cancelled.set()
    time.sleep(_GRACE)
    os._exit(1)


if __name__ == '__main__':
    sys.exit(main())
