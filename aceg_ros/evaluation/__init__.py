"""How good localization is: errors, pictures, and a comparison with other methods."""

from aceg_ros.evaluation.metrics import Evaluation, FrameResult, evaluate
from aceg_ros.evaluation.report import write_report

__all__ = ['Evaluation', 'FrameResult', 'evaluate', 'write_report']
