"""Pictures of datasets and evaluations.

Matplotlib is loaded when one is drawn, and needs no screen.
"""

from aceg_ros.evaluation.figures.alignment import draw_alignment
from aceg_ros.evaluation.figures.errors import draw_errors
from aceg_ros.evaluation.figures.images import draw_images
from aceg_ros.evaluation.figures.inspection import draw_inspection
from aceg_ros.evaluation.figures.scaling import draw_scaling
from aceg_ros.evaluation.figures.trajectory import draw_trajectory

__all__ = [
    'draw_alignment',
    'draw_errors',
    'draw_images',
    'draw_inspection',
    'draw_scaling',
    'draw_trajectory',
]
