"""Posed images in, a map code out: the kind that the regressor reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from aceg_ros.datasets.base import Dataset, Frame
from aceg_ros.engine import Engine
from aceg_ros.mapping.ace_g.mapper import map_free
from aceg_ros.mapping.anchored import map_anchored
from aceg_ros.mapping.options import MappingOptions
from aceg_ros.mapping.result import MappingResult, OnFirstMap
from aceg_ros.maps.code import ANCHORED, FREE
from aceg_ros.memory import ON_THE_CPU
from aceg_ros.monitor import Monitor

_LOG = logging.getLogger(__name__)
_MAPPERS = {ANCHORED: map_anchored, FREE: map_free}


def map_scene(
    frames: Sequence[Frame],
    engine: Engine,
    options: MappingOptions | None = None,
    metric: bool = True,
    monitor: Monitor | None = None,
    on_first_map: OnFirstMap | None = None,
    session: str = '',
) -> MappingResult:
    """Fit a map code to frames with poses; the map's axes and unit are those of the poses.

    ``metric`` says whether that unit is the meter. ``on_first_map`` is given a map that a robot can
    drive with after one pass of the fit, which then goes on; free codes have none. ``session`` is
    what the map calls the recording, by default the time. When a GPU's memory runs out, the
    networks move to the CPU and all begins anew, which `notes` says. Raises FitError when the
    frames do not allow a map, FitCancelled on request.
    """
    mapper, monitor = _MAPPERS[engine.regressor.kind], monitor or Monitor()
    chosen = options or MappingOptions()

    def fit() -> MappingResult:
        return mapper(frames, engine, chosen, metric, monitor, on_first_map, session)

    return on_gpu_or_cpu(fit, engine, monitor)


def on_gpu_or_cpu(
    fit: Callable[[], MappingResult], engine: Engine, monitor: Monitor
) -> MappingResult:
    """What ``fit`` gives; when a GPU's memory runs out, once more with the networks on the CPU."""
    try:
        return fit()
    except torch.cuda.OutOfMemoryError:
        _LOG.warning(ON_THE_CPU)
    monitor.report('load', 0.0, ON_THE_CPU)
    engine.to(torch.device('cpu'))
    torch.cuda.empty_cache()
    result = fit()
    return replace(result, notes=[ON_THE_CPU, *result.notes])


def map_dataset(
    dataset: Dataset,
    engine: Engine | None = None,
    options: MappingOptions | None = None,
    monitor: Monitor | None = None,
    on_first_map: OnFirstMap | None = None,
) -> MappingResult:
    """Map all frames of a dataset. Without an ``engine`` the default networks are loaded.

    ``on_first_map`` is called with a first, coarser map code. Raises FitError when the images do
    not make a map, FitCancelled when ``monitor`` asks for it, and WeightsError when a network is
    missing.
    """
    return map_scene(
        dataset.frames,
        engine or Engine.load(),
        options,
        dataset.metric,
        monitor,
        on_first_map,
        dataset.name,
    )
