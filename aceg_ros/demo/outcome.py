"""Results over ROS, compared with the truth and with the engine alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from aceg_ros.demo.driver import Detection, Run
from aceg_ros.evaluation.metrics import Evaluation, FrameResult
from aceg_ros.geometry.poses import pose_error
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason

NO_POSE = LocalizationFailure(Reason.NO_POSE, 'no pose was published for this image')

# s of images after which the localizer holds all the memory that it needs.
WARM = 10


def evaluation_of(run: Run, engine: Evaluation) -> Evaluation:
    """The poses that came, as an evaluation of all images that were shown.

    Times are latencies. What a pose rests on is not published with it, so that part is taken from
    the answer of the engine for the same image.
    """
    alone = {result.frame: result for result in engine.results}
    results = [_result(alone[frame], seen) for frame, seen in run.shown if frame in alone]
    return Evaluation(results, engine.skipped, engine.without_pose)


def _result(alone: FrameResult, seen: Detection | None) -> FrameResult:
    if seen is None:
        return replace(alone, answer=NO_POSE, seconds=math.nan, meters=math.inf, degrees=math.inf)
    evidence = alone.answer
    if not isinstance(evidence, Localization):
        none = np.zeros((0, 3))
        evidence = Localization(
            seen.world_from_cam, seen.covariance, none[:, :2], none, none[:, 0], none[:, 0] > 0
        )
    answer = replace(evidence, world_from_cam=seen.world_from_cam, covariance=seen.covariance)
    meters, degrees = map(float, pose_error(seen.world_from_cam, alone.world_from_cam))
    return replace(alone, answer=answer, seconds=seen.latency, meters=meters, degrees=degrees)


def figures_of(run: Run, evaluation: Evaluation, engine: Evaluation) -> dict[str, Any]:
    """The figures to quote: those of the localizer over ROS, and under `engine` those without."""
    summary = evaluation.summary()
    alone = engine.summary()
    median, p95 = summary.pop('query_ms_median'), summary.pop('query_ms_p95')
    query = alone['query_ms_median']
    latencies = [1000.0 * seen.latency for _, seen in run.shown if seen is not None]
    memory = run.memory_mb
    return {
        **summary,
        **_recall_of_worked(run, evaluation),
        'latency_ms_median': median,
        'latency_ms_p95': p95,
        'latency_ms_max': max(latencies, default=None),
        'engine_ms_median': query,
        'latency_ratio': median / query if median and query else None,
        'oldest_image_ms': run.oldest_ms,
        'localizer_mb_begin': memory[min(WARM, len(memory) - 1)] if memory else None,
        'localizer_mb_end': memory[-1] if memory else None,
        'localizer_mb': [round(size, 1) for size in memory[:: max(1, len(memory) // 60)]],
        'images': {'published': len(run.shown), 'delayed': run.delayed, **_named(run.counts)},
        'engine': alone,
    }


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts of images under names that say what became of them."""
    return {'received' if name == 'images' else name: count for name, count in counts.items()}


def _recall_of_worked(run: Run, evaluation: Evaluation) -> dict[str, float]:
    """Recall within 10 cm and 5 deg of the images that were not dropped."""
    worked = sum(run.counts.get(name, 0) for name in ('accepted', 'refused', 'failed'))
    hits = sum(result.within(10) for result in evaluation.results)
    return {'recall_10cm_5deg_of_worked': hits / worked} if worked else {}
