"""What is said of a dataset, and the verdict."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from aceg_ros.datasets import Dataset
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, make_pose, so3_exp
from aceg_ros.inspection.findings import Severity, Verdict, find, verdict
from aceg_ros.inspection.looks import look_at
from aceg_ros.inspection.summary import field_of_view, inspect_dataset
from aceg_ros.monitor import Monitor


def dataset(frames, **changes):
    """The frames, 0.5 s apart."""
    timed = [replace(f, stamp=100.25 + 0.5 * i) for i, f in enumerate(frames)]
    return replace(Dataset('room', timed, metric=True), **changes)


def inspected(frames):
    inspection = inspect_dataset(dataset(frames), 400, Monitor())
    return inspection, find(inspection)


@pytest.fixture(scope='module')
def right(views):
    return inspected(views)


def posed(frames, change):
    return [replace(f, world_from_cam=change(f.world_from_cam)) for f in frames]


class TestSummary:
    def test_a_good_recording(self, right, views):
        inspection, findings = right
        assert [f for f in findings if f.severity is Severity.FAULT] == []
        assert inspection.summary.frames == len(inspection.views.frames) == len(views)
        assert inspection.summary.agreement > 0.8
        assert inspection.summary.misreading is None

    def test_camera_and_field_of_view(self, right, room_camera):
        (lens,) = right[0].summary.lenses
        assert (lens.width, lens.height, lens.model) == (320, 240, 'pinhole')
        assert lens.horizontal_deg == pytest.approx(62.8, abs=0.1)
        assert lens.frames == 28

    def test_field_of_view_of_a_fisheye_beyond_half_a_circle(self):
        K = [[100.0, 0, 199.5], [0, 100.0, 199.5], [0, 0, 1]]
        camera = Camera('equidistant', 400, 400, K, np.zeros(4))
        assert field_of_view(camera)[0] == pytest.approx(np.degrees(4.0), abs=0.1)

    def test_distance_and_length(self, right, views):
        """Depth images of the room are what triangulation is held against."""
        depth = np.median([np.median(view.depth()) for view in views])
        assert right[0].summary.distance == pytest.approx(depth, rel=0.4)
        centers = np.stack([view.world_from_cam[:3, 3] for view in views])
        length = np.linalg.norm(np.diff(centers, axis=0), axis=1).sum()
        assert right[0].summary.path_length == pytest.approx(length)
        assert right[0].summary.seconds == pytest.approx(0.5 * 27)

    def test_only_so_many_frames_are_looked_at(self, views):
        inspection = inspect_dataset(dataset(views), 10, Monitor())
        assert len(inspection.views.frames) == 10
        assert inspection.summary.frames == 28

    def test_positions_in_the_dataset_are_no_times(self, views):
        numbered = [replace(f, stamp=float(i)) for i, f in enumerate(views[:6])]
        inspection = inspect_dataset(Dataset('room', numbered, True), 400, Monitor())
        assert inspection.summary.seconds is None

    def test_gaps(self, views):
        timed = dataset(views).frames
        timed = timed[:10] + [replace(f, stamp=f.stamp + 7.0) for f in timed[10:]]
        inspection = inspect_dataset(Dataset('room', timed, True), 400, Monitor())
        (gap,) = inspection.summary.gaps
        assert (gap.before, gap.after) == (views[9].name, views[10].name)
        assert gap.seconds == pytest.approx(7.5)


class TestFindings:
    def test_convention(self, views):
        _, findings = inspected(posed(views, inverse))
        assert '--pose-convention camera-from-world' in findings[0].text
        assert verdict(findings) is Verdict.POOR
        assert not any('tracking was lost' in finding.text for finding in findings)

    def test_millimeters(self, views):
        _, findings = inspected(posed(views, lambda p: make_pose(p[:3, :3], 1000.0 * p[:3, 3])))
        assert any('--pose-convention millimeters' in finding.text for finding in findings)

    def test_lost_tracking(self, views):
        frames = list(views)
        for index in range(8, 12):
            frames[index] = replace(frames[index], world_from_cam=np.eye(4))
        _, findings = inspected(frames)
        (lost,) = [f for f in findings if 'tracking was lost' in f.text]
        assert frames[8].name in lost.text
        assert '4 of 28' in lost.text

    def test_a_camera_that_only_turns(self, room, room_camera):
        from aceg_ros.lab.worlds import record, tour

        start = tour(room, 60, seed=7)[10]
        turned = [start @ make_pose(so3_exp([0.0, 0.08 * i, 0.0]), np.zeros(3)) for i in range(10)]
        frames = record(room, room_camera, np.stack(turned), name='turn', supersample=1).frames
        _, findings = inspected(frames)
        assert any('hardly moved sideways' in finding.text for finding in findings)
        assert verdict(findings) is Verdict.POOR

    def test_blurred_images(self, views):
        def blurred(frame):
            image = cv2.blur(frame.image(), (25, 1))
            return replace(frame, load_image=lambda: image)

        _, findings = inspected([blurred(f) if i % 2 else f for i, f in enumerate(views)])
        assert any('are blurred' in finding.text for finding in findings)

    def test_no_poses(self, views):
        _, findings = inspected([replace(f, world_from_cam=None) for f in views])
        assert verdict(findings) is Verdict.POOR
        assert 'a readable image and a pose' in findings[0].text

    def test_images_that_share_nothing(self, views):
        apart = [views[i] for i in (0, 6, 12, 18, 24)]
        rng = np.random.default_rng(0)
        noise = [
            replace(f, load_image=lambda: rng.integers(0, 256, (240, 320, 3), np.uint8))
            for f in apart
        ]
        _, findings = inspected(noise)
        assert 'no two neighboring images show the same' in findings[0].text


class TestLooks:
    def test_of_a_view(self, views):
        look = look_at(views[0].image())
        assert look.sharpness > 0.45
        assert not look.blank

    @pytest.mark.parametrize(('value', 'dark', 'bright'), [(0, 1, 0), (255, 0, 1), (128, 0, 0)])
    def test_of_nothing(self, value, dark, bright):
        look = look_at(np.full((240, 320, 3), value, np.uint8))
        assert look.blank
        assert (look.dark, look.bright) == (dark, bright)
