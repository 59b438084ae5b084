"""Reports two states on /diagnostics; its simulated time stands still."""

from __future__ import annotations

from rclpy.node import Node

from aceg_ros.ros.middleware.diagnostics import Diagnostics, Level, Report
from aceg_ros.ros.spin import run_node


class DiagnosedNode(Node):
    def __init__(self) -> None:
        super().__init__('diagnosed')
        self.reports = 0
        self.diagnostics = Diagnostics(self, lambda: 'camera 7')
        self.diagnostics.add('camera', self.camera)
        self.diagnostics.add('map', lambda: Report(Level.STALE, 'nothing yet'))
        self.diagnostics.update()

    def camera(self) -> Report:
        self.reports += 1
        return Report(Level.WARN, 'slow', {'rate': 2.5, 'reports': self.reports})


if __name__ == '__main__':
    run_node(DiagnosedNode)
