"""Fits the confidence model, and measures it on scenes that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from aceg_ros.lab.confidence.samples import Sample
from aceg_ros.localization.verification import EVIDENCE, ConfidenceModel

_DECAY = 1.0  # of the squared weights, in samples
_FOLDS = 6
_BINS = 10


@dataclass(frozen=True)
class Curve:
    """Right poses kept against wrong poses given out, as the threshold falls."""

    threshold: np.ndarray  # (T,) falling
    kept: np.ndarray  # (T,) part of the right poses that are given out
    wrong: np.ndarray  # (T,) number of gross errors that are given out


def fit(samples: Sequence[Sample]) -> ConfidenceModel:
    """The logistic model of the greatest likelihood, with a little decay of the weights."""
    evidence, right = _table(samples)
    mean = np.nanmean(evidence, axis=0)
    scale = np.maximum(np.nanstd(evidence, axis=0), 1e-6)
    x = np.where(np.isfinite(evidence), (evidence - mean) / scale, 0.0).clip(-4, 4)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        logit = x @ weights + bias
        value = (
            np.logaddexp(0, np.where(right, -logit, logit)).sum() + _DECAY * weights @ weights / 2
        )
        slope = 1 / (1 + np.exp(-logit)) - right
        return value, np.append(x.T @ slope + _DECAY * weights, slope.sum())

    found = minimize(loss, np.zeros(len(EVIDENCE) + 1), jac=True, method='L-BFGS-B').x
    return ConfidenceModel(mean, scale, found[:-1], float(found[-1]))


def held_out(samples: Sequence[Sample], seed: int = 0) -> np.ndarray:
    """Probabilities (N,) of samples by models that saw none of their scene."""
    scenes = sorted({sample.scene for sample in samples})
    order = np.random.default_rng(seed).permutation(len(scenes))
    fold = {scenes[scene]: place % _FOLDS for place, scene in enumerate(order)}
    probability = np.zeros(len(samples))
    for number in range(min(_FOLDS, len(scenes))):
        model = fit([sample for sample in samples if fold[sample.scene] != number])
        for index, sample in enumerate(samples):
            if fold[sample.scene] == number:
                probability[index] = probability_of(model, sample)
    return probability


def probability_of(model: ConfidenceModel, sample: Sample) -> float:
    """Of a sample's pose."""
    from aceg_ros.localization.verification import Evidence

    return model.probability(Evidence(**sample.evidence))


def curve(samples: Sequence[Sample], probability: np.ndarray) -> Curve:
    """Over all thresholds."""
    order = np.argsort(-probability)
    right = np.array([sample.right for sample in samples])[order]
    gross = np.array([sample.gross for sample in samples])[order]
    return Curve(probability[order], right.cumsum() / max(right.sum(), 1), gross.cumsum())


def calibration_error(samples: Sequence[Sample], probability: np.ndarray) -> float:
    """Expected calibration error (Naeini et al., AAAI 2015) over ten bins, 0 to 1."""
    right = np.array([sample.right for sample in samples])
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    error = 0.0
    for index in range(_BINS):
        inside = bins == index
        if inside.any():
            error += inside.mean() * abs(probability[inside].mean() - right[inside].mean())
    return float(error)


def _table(samples: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray]:
    rows = [[sample.evidence[name] for name in EVIDENCE] for sample in samples]
    return np.array(rows, float), np.array([sample.right for sample in samples])
