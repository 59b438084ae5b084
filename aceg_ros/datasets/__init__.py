"""Posed images from files: frames, datasets, and the layouts they come in."""

from aceg_ros.datasets.base import Dataset, Frame
from aceg_ros.datasets.calibration import read_camera
from aceg_ros.datasets.detect import open_dataset
from aceg_ros.datasets.folder import images_only
from aceg_ros.datasets.recording import RecordingWriter, write_recording

__all__ = [
    'Dataset',
    'Frame',
    'RecordingWriter',
    'images_only',
    'open_dataset',
    'read_camera',
    'write_recording',
]
