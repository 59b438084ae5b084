"""What the node publishes: keyframes and points, its state in words, and how the fit goes."""

from __future__ import annotations

import time
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, String
from visualization_msgs.msg import MarkerArray

from aceg_ros.geometry.poses import Array
from aceg_ros.mapping.background import FitReport, FitState
from aceg_ros.maps.code import Rating
from aceg_ros.recording.preview import ScenePreview
from aceg_ros.ros.messages import frusta, point_cloud
from aceg_ros.ros.middleware.diagnostics import Level, Report
from aceg_ros.ros.parameters import LATCHED

_PERIOD = 1.0  # s between two pictures, and two words on the same state
_FRUSTUM = 0.1  # m


class Outputs:
    """Publishers; `picture` and `say` are for the executor, `progress` for any thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._keyframes = node.create_publisher(MarkerArray, '~/keyframes', LATCHED)
        self._scene_points = node.create_publisher(PointCloud2, '~/scene_points', LATCHED)
        self._progress = node.create_publisher(DiagnosticStatus, '~/progress', LATCHED)
        self._status = node.create_publisher(String, '~/status', LATCHED)
        self._state = self._words = ''
        self._said = self._drawn = 0.0

    def picture(self, frame: str, poses: list[Array], preview: ScenePreview) -> bool:
        """Publish keyframes (4, 4) and points in the map's frame; whether it was time again."""
        now = time.monotonic()
        if now - self._drawn < _PERIOD:
            return False
        self._drawn = now
        header = Header(stamp=self._node.get_clock().now().to_msg(), frame_id=frame)
        self._keyframes.publish(frusta(header, poses, _FRUSTUM))
        self._scene_points.publish(point_cloud(header, *preview.cloud))
        return True

    def say(self, state: str, words: str) -> bool:
        """Publish the state in words, a new state at once; whether it is new."""
        now = time.monotonic()
        changed = state != self._state
        if not changed and (words == self._words or now - self._said < _PERIOD):
            return False
        self._state, self._words, self._said = state, words, now
        self._status.publish(String(data=f'{state}: {words}'))
        if changed:
            self._node.get_logger().info(f'{state}: {words}')
        return changed

    def progress(self, report: Report) -> None:
        """Publish how the fit goes."""
        self._progress.publish(
            DiagnosticStatus(
                level=report.level.value,
                name=f'{self._node.get_fully_qualified_name().lstrip("/")}: fit',
                message=report.message,
                values=[
                    KeyValue(key=key, value=str(value)) for key, value in report.values.items()
                ],
            )
        )


def fit_report(fit: FitReport, saved: Path | None) -> Report:
    """A fit in words; `saved` is the map's file once it is saved."""
    values: dict[str, object] = {'state': fit.state.value}
    if fit.state is FitState.RUNNING:
        values |= {
            'stage': fit.stage,
            'percent': round(100 * fit.fraction),
            'detail': fit.detail,
            'remaining (s)': round(fit.remaining),
        }
        said = f'{fit.stage} {100 * fit.fraction:.0f} %', fit.detail
        left = f'about {fit.remaining:.0f} s left'
        return Report(Level.OK, ', '.join(filter(None, [*said, left])), values)
    if fit.result is None:
        level = Level.WARN if fit.state is FitState.CANCELLED else Level.ERROR
        return Report(level, fit.detail, values)
    quality = fit.result.quality
    values |= {
        'seconds': round(fit.result.seconds, 1),
        'keyframes': fit.result.keyframes,
        'left out': len(fit.result.skipped),
        'device': fit.result.device,
        'map (bytes)': fit.result.map_bytes,
        'map': saved or 'not saved yet',
        'quality': quality.rating.value,
        'advice': quality.advice,
    }
    if fit.state is FitState.FAILED:
        return Report(Level.ERROR, fit.detail, values)
    words = f'done in {fit.result.seconds:.0f} s, quality {quality.rating.value}'
    if quality.rating is Rating.GOOD:
        return Report(Level.OK, words, values)
    level = Level.OK if quality.rating is Rating.FAIR else Level.WARN
    return Report(level, f'{words}: {quality.advice}', values)
