"""Errors of poses and honesty of covariances."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeLocalizer, broken_image, moved, numbered_frames
from scipy.stats import chi2

from aceg_ros.errors import DatasetError
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.evaluation.tables import evaluation_lines
from aceg_ros.monitor import Monitor
from aceg_ros.pose.consistency import normalized_errors, pose_residual

KEYS = [
    'frames',
    'localized',
    'median_cm',
    'median_deg',
    'recall_5cm_5deg',
    'recall_10cm_5deg',
    'recall_25cm_5deg',
    'query_ms_median',
    'query_ms_p95',
]


def shifted(frames, centimeters, degrees=0.0):
    """Estimates off by these distances and by `degrees` about the map's y axis."""
    step = np.array([0.0, 0.0, 0.0, 0.0, math.radians(degrees), 0.0])
    return [
        moved(frame.world_from_cam, step + np.array([cm / 100, 0, 0, 0, 0, 0]))
        for frame, cm in zip(frames, centimeters, strict=True)
    ]


class TestSummary:
    def test_keys_are_those_promised_in_order(self):
        frames = numbered_frames(3)
        summary = evaluate(FakeLocalizer(shifted(frames, [1, 1, 1])), frames).summary()
        assert list(summary) == KEYS

    def test_known_errors(self):
        frames = numbered_frames(5)
        localizer = FakeLocalizer(shifted(frames, [1, 4, 7, 20, 400], degrees=2.0))
        summary = evaluate(localizer, frames).summary()
        assert summary['median_cm'] == pytest.approx(7.0)
        assert summary['median_deg'] == pytest.approx(2.0)
        recalls = [summary[f'recall_{limit}cm_5deg'] for limit in (5, 10, 25)]
        assert recalls == pytest.approx([0.4, 0.6, 0.8])

    def test_a_large_rotation_is_no_success(self):
        frames = numbered_frames(4)
        summary = evaluate(FakeLocalizer(shifted(frames, [1] * 4, degrees=6.0)), frames).summary()
        assert summary['localized'] == 4
        assert summary['recall_25cm_5deg'] == 0.0

    def test_failures_count_in_recalls_and_medians(self):
        frames = numbered_frames(4)
        estimates = [*shifted(frames[:1], [1]), None, *shifted(frames[2:], [3, 2])]
        summary = evaluate(FakeLocalizer(estimates), frames).summary()
        assert summary['localized'] == 3
        assert summary['recall_5cm_5deg'] == 0.75
        assert summary['median_cm'] == pytest.approx(2.5)  # of 1, 2, 3 and infinity

    def test_medians_are_null_when_most_frames_fail(self):
        frames = numbered_frames(3)
        estimates = [None, None, frames[2].world_from_cam]
        summary = evaluate(FakeLocalizer(estimates), frames).summary()
        assert summary['median_cm'] is None
        assert summary['median_deg'] is None
        json.dumps(summary, allow_nan=False)

    def test_times_are_those_of_answers(self):
        frames = numbered_frames(3)
        evaluation = evaluate(FakeLocalizer(shifted(frames, [1, 1, 1])), frames)
        given = zip(evaluation.results, [0.1, math.nan, 0.3], strict=True)
        timed = [replace(result, seconds=seconds) for result, seconds in given]
        summary = replace(evaluation, results=timed).summary()
        assert summary['query_ms_median'] == pytest.approx(200.0)
        assert timed[1].row()['ms'] is None
        assert replace(evaluation, results=timed[1:2]).summary()['query_ms_p95'] is None


class TestLines:
    def test_figures_for_people(self):
        frames = numbered_frames(5)
        shifts = shifted(frames, [1, 4, 7, 20, 400], degrees=2.0)
        lines = evaluation_lines(evaluate(FakeLocalizer(shifts), frames))
        told = dict(line.strip().split(': ', 1) for line in lines)
        assert told['localized'] == '5 of 5 images'
        assert told['median error'] == '7.0 cm, 2.00 deg'
        assert told['within 10 cm, 5 deg'] == '60 %'
        assert 'refused' not in told

    def test_refusals_and_units(self):
        frames = numbered_frames(3)
        poses = [shifted(frames, [1, 1, 1])[0], None, None]
        text = '\n'.join(evaluation_lines(evaluate(FakeLocalizer(poses), frames), metric=False))
        assert '1 of 3 images' in text
        assert 'refused: no_pose 2' in text
        assert 'within 0.05 units, 5 deg: 33 %' in text


class TestFrames:
    def test_unreadable_images_are_skipped_and_named(self):
        frames = numbered_frames(3)
        frames[1] = replace(frames[1], load_image=broken_image)
        poses = [frame.world_from_cam for frame in frames]
        evaluation = evaluate(FakeLocalizer(poses), frames)
        assert evaluation.summary()['frames'] == 2
        assert evaluation.skipped == ['frame-1: the file is truncated']

    def test_frames_without_pose_are_counted_apart(self):
        frames = numbered_frames(3)
        poses = [frame.world_from_cam for frame in frames]
        frames[0] = replace(frames[0], world_from_cam=None)
        evaluation = evaluate(FakeLocalizer(poses), frames)
        assert (evaluation.without_pose, len(evaluation.results)) == (1, 2)

    def test_nothing_to_evaluate_is_an_error(self):
        frames = [replace(frame, world_from_cam=None) for frame in numbered_frames(2)]
        with pytest.raises(DatasetError, match='2 have no pose'):
            evaluate(FakeLocalizer([None, None]), frames)

    def test_reasons_of_failures_are_counted(self):
        frames = numbered_frames(3)
        localizer = FakeLocalizer([None, frames[1].world_from_cam, None])
        evaluation = evaluate(localizer, frames)
        assert evaluation.failures() == {'no_pose': 2}
        assert evaluation.results[0].row()['failure'] == 'no_pose'
        assert evaluation.results[0].row()['cm'] is None

    def test_progress_names_each_frame(self):
        frames = numbered_frames(2)
        seen = []
        poses = [frame.world_from_cam for frame in frames]
        evaluate(FakeLocalizer(poses), frames, Monitor(lambda *report: seen.append(report)))
        assert seen == [('evaluate', 0.0, 'frame-0'), ('evaluate', 0.5, 'frame-1')]


class TestCalibration:
    @pytest.fixture
    def covariance(self):
        root = np.random.default_rng(3).normal(size=(6, 6)) * [[3], [1], [0.2], [2], [1], [0.1]]
        return root @ root.T * 1e-5

    def evaluation(self, covariance, claimed, count=400):
        frames = numbered_frames(count)
        steps = np.random.default_rng(1).multivariate_normal(np.zeros(6), covariance, count)
        estimates = [
            moved(frame.world_from_cam, step) for frame, step in zip(frames, steps, strict=True)
        ]
        return evaluate(FakeLocalizer(estimates, claimed), frames)

    def test_honest_covariance_covers_what_it_should(self, covariance):
        calibration = self.evaluation(covariance, covariance).calibration()
        for part, freedom in (('pose', 6), ('position', 3), ('rotation', 3)):
            figures = calibration[part]
            assert figures['mean'] == pytest.approx(1.0, rel=0.1)
            assert figures['median'] == pytest.approx(chi2.median(freedom), rel=0.1)
            for level in (50, 90, 95):
                assert figures[f'within_{level}'] == pytest.approx(level / 100, abs=0.06)

    def test_boastful_covariance_is_found_out(self, covariance):
        calibration = self.evaluation(covariance, covariance / 9).calibration()
        assert calibration['pose']['median'] == pytest.approx(9 * chi2.median(6), rel=0.1)
        assert calibration['position']['within_90'] < 0.5

    def test_order_of_axes_matters(self, covariance):
        turned = np.roll(covariance, (3, 3), axis=(0, 1))
        calibration = self.evaluation(covariance, turned, count=100).calibration()
        assert calibration['pose']['within_95'] < 0.5

    def test_failures_are_left_out(self):
        frames = numbered_frames(2)
        calibration = evaluate(
            FakeLocalizer([None, frames[1].world_from_cam]), frames
        ).calibration()
        assert calibration['frames'] == 1
        assert calibration['pose']['nees'] == pytest.approx([0.0])

    def test_without_any_pose_there_are_no_figures(self):
        frames = numbered_frames(2)
        calibration = evaluate(FakeLocalizer([None, None]), frames).calibration()
        assert calibration['pose']['median'] is None
        assert calibration['position']['within_95'] is None
        json.dumps(calibration, allow_nan=False)

    def test_certainty_without_spread_is_infinitely_wrong(self):
        pose = numbered_frames(1)[0].world_from_cam
        assert normalized_errors(pose, pose, np.zeros((6, 6))) == (math.inf,) * 3


def test_pose_residual_leads_from_the_estimate_to_the_truth():
    estimate = numbered_frames(1)[0].world_from_cam
    step = np.array([0.1, -0.2, 0.3, 0.02, -0.5, 0.04])
    assert pose_residual(moved(estimate, step), estimate) == pytest.approx(step)
