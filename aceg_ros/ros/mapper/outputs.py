"""Publishers of keyframes and points, of the node's state and of the fit's progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header, String
from visualization_msgs.msg import MarkerArray

from aceg_ros.geometry.poses import Array
from aceg_ros.mapping.background import FitReport, FitState
from aceg_ros.maps.code import Rating
from aceg_ros.recording.preview import ScenePreview
from aceg_ros.ros.debug_image import DebugImage, side_by_side
from aceg_ros.ros.messages import frusta, point_cloud
from aceg_ros.ros.middleware.diagnostics import Level, Report
from aceg_ros.ros.parameters import LATCHED
from aceg_ros.ros.status_values import FitValues, key_values

_NEWEST = QoSProfile(depth=1)
_PERIOD = 1.0  # s between two pictures, and two words on the same state
_FRUSTUM = 0.1  # m
_PICTURE = 0.2  # s between two debug images at least


class Pictures:
    """The last image of each camera, side by side, with the state in words; for several threads."""

    def __init__(self, debug_image: DebugImage, words: Callable[[], str]) -> None:
        self._debug_image = debug_image
        self._words = words
        self._last: dict[int, NDArray[np.uint8]] = {}

    @property
    def wanted(self) -> bool:
        """Whether someone looks, and it is time for another one."""
        return self._debug_image.wanted and self._debug_image.age > _PICTURE

    def show(self, number: int, rgb: NDArray[np.uint8], header: Header, good: bool) -> None:
        """Publish an RGB image (H, W, 3) of a camera beside those of the others."""
        last = self._last = self._last | {number: rgb}
        images = side_by_side([last[each] for each in sorted(last)])
        self._debug_image.show(images, header, self._words(), good)


class Outputs:
    """Publishers. All is for the executor, but `publish_progress` for any thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._keyframes = node.create_publisher(MarkerArray, '~/keyframes', LATCHED)
        self.debug_image = DebugImage(node.create_publisher(Image, '~/debug_image', _NEWEST))
        self._scene_points = node.create_publisher(PointCloud2, '~/scene_points', LATCHED)
        self._progress = node.create_publisher(DiagnosticStatus, '~/progress', LATCHED)
        self._status = node.create_publisher(String, '~/status', LATCHED)
        self._state = self._words = ''
        self._said = self._drawn = 0.0

    def publish_scene(
        self, frame: str, poses: list[Array], previews: Sequence[ScenePreview]
    ) -> bool:
        """Publish keyframes (4, 4) and points in the map's frame; False when it is too early."""
        now = time.monotonic()
        if now - self._drawn < _PERIOD:
            return False
        self._drawn = now
        header = Header(stamp=self._node.get_clock().now().to_msg(), frame_id=frame)
        self._keyframes.publish(frusta(header, poses, _FRUSTUM))
        points, colors = zip(*(preview.cloud for preview in previews), strict=True)
        cloud = point_cloud(header, np.concatenate(points), np.concatenate(colors))
        self._scene_points.publish(cloud)
        return True

    def publish_status(self, state: str, words: str) -> bool:
        """Publish `state: words` if they changed, a new state at once; True for a new state."""
        now = time.monotonic()
        changed = state != self._state
        if not changed and (words == self._words or now - self._said < _PERIOD):
            return False
        self._state, self._words, self._said = state, words, now
        self._status.publish(String(data=f'{state}: {words}'))
        if changed:
            self._node.get_logger().info(f'{state}: {words}')
        return changed

    def publish_progress(self, report: Report) -> None:
        """Publish the progress of the fit."""
        self._progress.publish(
            DiagnosticStatus(
                level=report.level.value,
                name=f'{self._node.get_fully_qualified_name().lstrip("/")}: fit',
                message=report.message,
                values=key_values(report.values),
            )
        )


def fit_report(fit: FitReport, recorded: int, saved: Path | None) -> Report:
    """How a fit of ``recorded`` keyframes goes; ``saved`` is the map's file once it is saved."""
    level, message = _described(fit)
    result = fit.result
    values = FitValues(
        state=fit.state.value,
        stage=fit.stage,
        fraction=round(fit.fraction, 3),
        remaining_s=round(fit.remaining, 1),
        detail=fit.detail,
        recorded=recorded,
    )
    if result is not None:
        values = replace(
            values,
            keyframes=result.keyframes,
            left_out=len(result.skipped),
            seconds=round(result.seconds, 1),
            device=result.device,
            map_bytes=result.map_bytes,
            map='' if saved is None else str(saved),
            quality=result.quality.rating.value,
            advice=result.quality.advice,
            notes='; '.join(result.notes),
        )
    return Report(level, message, asdict(values))


def _described(fit: FitReport) -> tuple[Level, str]:
    if fit.state is FitState.RUNNING:
        said = f'{fit.stage} {100 * fit.fraction:.0f} %', fit.detail
        left = f'about {fit.remaining:.0f} s left'
        return Level.OK, ', '.join(filter(None, [*said, left]))
    if fit.state is FitState.CANCELLED:
        return Level.WARN, fit.detail
    if fit.result is None or fit.state is FitState.FAILED:
        return Level.ERROR, fit.detail
    quality = fit.result.quality
    words = f'done in {fit.result.seconds:.0f} s, quality {quality.rating.value}'
    if quality.rating is Rating.GOOD:
        return Level.OK, words
    level = Level.OK if quality.rating is Rating.FAIR else Level.WARN
    return level, f'{words}: {quality.advice}'
