"""Real sequences: everything is read, and poses, axes and calibrations explain the images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aceg_ros.datasets import open_dataset
from aceg_ros.geometry.poses import inverse, skew

# Folder, frames, metric, model, and two frames that see the same things from different places.
SEQUENCES = {
    'redkitchen': (350, True, 'pinhole', 0, 20),
    'tum_fr1_rpy': (231, True, 'plumb_bob', 100, 115),
    'euroc_mh05': (117, True, 'plumb_bob', 40, 42),
    'fox': (50, False, 'plumb_bob', 0, 2),
    'strecha/fountain-P11': (11, False, 'pinhole', 4, 5),
    'strecha/Herz-Jesus-P25': (25, False, 'pinhole', 4, 5),
    'strecha/entry-P10': (10, False, 'pinhole', 4, 5),
}

sequences = pytest.mark.parametrize('name', SEQUENCES)


def matched_pixels(image_a, image_b):
    """ORB matches (N, 2), (N, 2) that pass the ratio test."""
    orb = cv2.ORB_create(2000)
    (points_a, words_a), (points_b, words_b) = (
        orb.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
        for image in (image_a, image_b)
    )
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(words_a, words_b, k=2)
    good = [first for first, second in pairs if first.distance < 0.75 * second.distance]
    return (
        np.array([points_a[match.queryIdx].pt for match in good]),
        np.array([points_b[match.trainIdx].pt for match in good]),
    )


def epipolar_distances(frame_a, frame_b):
    """Angle between matched rays and the epipolar planes, as pixels at the focal length (N,)."""
    pixels_a, pixels_b = matched_pixels(frame_a.image(), frame_b.image())
    rays_a, rays_b = frame_a.camera.rays(pixels_a), frame_b.camera.rays(pixels_b)
    b_from_a = inverse(frame_b.world_from_cam) @ frame_a.world_from_cam
    translation = b_from_a[:3, 3] / np.linalg.norm(b_from_a[:3, 3])
    normals = rays_a @ (skew(translation) @ b_from_a[:3, :3]).T
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return np.abs((normals * rays_b).sum(axis=1)) * frame_b.camera.focal


@sequences
def test_everything_is_read(shared, name):
    count, metric, model, *_ = SEQUENCES[name]
    dataset = open_dataset(shared / 'data' / name)
    assert (len(dataset), dataset.metric) == (count, metric)
    assert {frame.camera.model for frame in dataset.frames} == {model}
    assert len({frame.name for frame in dataset.frames}) == count
    stamps = [frame.stamp for frame in dataset.frames]
    assert stamps == sorted(stamps)


@sequences
def test_poses_and_calibration_explain_the_images(shared, name):
    *_, index_a, index_b = SEQUENCES[name]
    frames = open_dataset(shared / 'data' / name).frames
    distances = epipolar_distances(frames[index_a], frames[index_b])
    assert len(distances) > 50
    assert np.median(distances) < 2.0


def test_what_is_left_out_is_named(shared):
    assert len(open_dataset(shared / 'data/fox').skipped) == 17
    (entry,) = open_dataset(shared / 'data/tum_fr1_rpy').skipped
    assert 'no pose for time' in entry


def test_redkitchen_splits(shared):
    dataset = open_dataset(shared / 'data/redkitchen')
    assert len(dataset.select('train')) == 300
    assert len(dataset.select('seq-02')) == len(dataset.select('test')) == 50


@pytest.mark.parametrize('name', ['redkitchen', 'tum_fr1_rpy'])
def test_depth_is_in_meters(shared, name):
    depth = open_dataset(shared / 'data' / name).frames[0].depth()
    known = depth[depth > 0]
    assert known.size > 100_000
    assert 0.4 < known.min() < np.median(known) < 4.0
    assert known.max() < 15.0
