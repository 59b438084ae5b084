"""The panel as a node: topics come in, the state goes to the page, requests go to services.

It knows mapper and localizer as everybody does, by their topics and services, and they do not know
of it. So it may run on another computer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from typing import NoReturn

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from aceg_ros.errors import PoseError
from aceg_ros.ros.camera_health import CameraHealth
from aceg_ros.ros.camera_input import CameraInput
from aceg_ros.ros.messages import points_from_cloud, pose_of, poses_from_frusta
from aceg_ros.ros.panel.options import PARAMETERS
from aceg_ros.ros.panel.peers import ACTIONS, Peer
from aceg_ros.ros.panel.picture import Picture
from aceg_ros.ros.panel.server import Feed, RequestError, Server
from aceg_ros.ros.panel.state import (
    MAP,
    HeardOfLocalizer,
    HeardOfMapper,
    localizer_state,
    mapper_state,
    shown_scene,
)
from aceg_ros.ros.panel.topview import Scene, drawing, ground_below
from aceg_ros.ros.parameters import LATCHED, Parameters, image_reliability
from aceg_ros.ros.spin import run_node
from aceg_ros.ros.status_values import FitValues, LocalizationValues, read_values, values_of

NAME = 'aceg_panel'
_PERIOD = 0.2  # s between two states
_LOOK = 0.5  # s between looks at who is there


class PanelNode(Node):
    """Serves the page."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self._running = False
        settings = Parameters(self, PARAMETERS)
        mapper, localizer = settings['mapper'], settings['localizer']
        start = 'ros2 launch aceg_ros'
        self._mapper = Peer(self, mapper, True, ['map'], f'{start} map.launch.py')
        self._localizer = Peer(self, localizer, False, [], f'{start} localize.launch.py')
        # /diagnostics names nodes with their namespace or, in Humble, without.
        full = self._localizer.full_name.lstrip('/')
        self._localizer_names = {full, full.rpartition('/')[2]}
        self._of_mapper, self._of_localizer = HeardOfMapper(), HeardOfLocalizer()
        self._up = settings['up']
        # What is drawn: whose, the scene itself, the ground it is drawn on, and its JSON.
        self._drawn: tuple[str, Scene | None] = ('', None)
        self._ground = ground_below(Scene().world_from_cams)
        self._drawing = b'{}'
        self._drawing_number = 0
        reliability = image_reliability(settings['image_qos'])
        self._camera = CameraInput(self, settings['compressed'], False, reliability)
        self._health = CameraHealth(
            self._camera, lambda: settings['image_timeout'], self.get_logger()
        )
        self._picture = Picture(self._camera, lambda: settings['image_width'])
        self._looked_at = False
        self._subscribe(mapper, localizer)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_LOOK, self._look, clock=steady)
        self.create_timer(_PERIOD, self._tell, clock=steady)
        self._feed = Feed()
        host = settings['host']
        self._server = Server(host, settings['port'], self, self._feed)
        self._running = True
        self._announce(host)

    def destroy_node(self) -> None:
        """End the server."""
        if self._running:
            self._running = False
            self._server.close()
            self._camera.stop()
        super().destroy_node()

    # What the server asks for, in its threads.

    def image(self) -> bytes | None:
        """See `Content`."""
        return self._picture.jpeg()

    def scene(self) -> bytes:
        """See `Content`."""
        return self._drawing

    def act(self, action: str, texts: Mapping[str, str]) -> tuple[bool, str]:
        """See `Content`."""
        known = ACTIONS.get(action)
        if known is None:
            raise RequestError(HTTPStatus.NOT_FOUND, 'there is no such action')
        return (self._mapper if known.of_mapper else self._localizer).ask(known, texts)

    # The rest is for the executor's thread.

    def _announce(self, host: str) -> None:
        address = f'[{host}]' if ':' in host else host
        url = f'http://{address}:{self._server.port}/'
        if host == 'localhost' or ip_address(host).is_loopback:
            self.get_logger().info(f'the panel is at {url}')
        else:
            self.get_logger().warning(
                f'the panel is at {url}, without a password: whoever reaches it can record, map '
                'and localize'
            )

    def _subscribe(self, mapper: str, localizer: str) -> None:
        of_mapper, of_localizer = self._of_mapper, self._of_localizer
        on_status, on_keyframes, on_points = self._on_status, self._on_keyframes, self._on_points
        for kind, topic, callback, qos in (
            (String, f'{mapper}/status', partial(on_status, of_mapper), LATCHED),
            (DiagnosticStatus, f'{mapper}/progress', self._on_progress, LATCHED),
            (MarkerArray, f'{mapper}/keyframes', partial(on_keyframes, of_mapper), LATCHED),
            (PointCloud2, f'{mapper}/scene_points', partial(on_points, of_mapper), LATCHED),
            (String, f'{localizer}/status', partial(on_status, of_localizer), LATCHED),
            (MarkerArray, f'{localizer}/keyframes', partial(on_keyframes, of_localizer), LATCHED),
            (PointCloud2, f'{localizer}/map_points', partial(on_points, of_localizer), LATCHED),
            (
                PoseWithCovarianceStamped,
                f'{localizer}/pose_with_covariance',
                self._on_pose,
                LATCHED,
            ),
            (DiagnosticArray, '/diagnostics', self._on_diagnostics, 10),
        ):
            self.create_subscription(kind, topic, callback, qos)

    def _look(self) -> None:
        """See which nodes are there, and listen to the camera only while somebody looks on."""
        self._mapper.look()
        self._localizer.look()
        looked_at = self._feed.viewers > 0
        if looked_at and not self._looked_at:
            self._camera.start()
            self._health.begin()
        elif self._looked_at and not looked_at:
            self._camera.stop()
            self._picture.forget()
        self._looked_at = looked_at

    def _tell(self) -> None:
        """Show the present state to those who look on."""
        if not self._feed.viewers:
            return
        mapper = mapper_state(self._of_mapper, self._mapper.presence)
        here = self._localizer.presence
        whose = shown_scene(mapper, here, self._of_localizer.scene)
        self._draw(whose)
        ground = self._ground if whose == MAP else None
        state = {
            'camera': {
                'number': self._camera.received,
                'words': self._health.silence or self._picture.problem,
            },
            'mapper': mapper,
            'localizer': localizer_state(self._of_localizer, here, ground),
            'scene': {'number': self._drawing_number},
        }
        self._feed.publish(json.dumps(state))

    def _draw(self, whose: str) -> None:
        """Draw the scene from above, if it is another one."""
        of_map = whose == MAP
        scene = self._of_localizer.scene if of_map else self._of_mapper.scene
        if self._drawn[0] == whose and self._drawn[1] is scene:
            return
        self._drawn = whose, scene
        self._ground = ground_below(scene.world_from_cams, self._up)
        self._drawing_number += 1
        drawn = drawing(scene, self._ground) | {'number': self._drawing_number, 'of': whose}
        self._drawing = json.dumps(drawn).encode()

    def _on_status(self, heard: HeardOfMapper | HeardOfLocalizer, message: String) -> None:
        heard.status = message.data

    def _on_keyframes(self, heard: HeardOfMapper | HeardOfLocalizer, message: MarkerArray) -> None:
        heard.scene = replace(heard.scene, world_from_cams=poses_from_frusta(message))

    def _on_points(self, heard: HeardOfMapper | HeardOfLocalizer, message: PointCloud2) -> None:
        points, colors = points_from_cloud(message)
        heard.scene = replace(heard.scene, points=points, colors=colors)

    def _on_progress(self, message: DiagnosticStatus) -> None:
        try:
            self._of_mapper.fit = read_values(FitValues, message)
        except ValueError:
            return
        self._of_mapper.fit_message = message.message

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        covariance = np.array(message.pose.covariance).reshape(6, 6)
        if np.isfinite(covariance).all():
            # What is no pose is not shown.
            with suppress(PoseError):
                self._of_localizer.pose = pose_of(message), covariance

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            node, _, part = status.name.lstrip('/').partition(': ')
            if node not in self._localizer_names:
                continue
            if part == 'localization':
                with suppress(ValueError):
                    values = read_values(LocalizationValues, status)
                    self._of_localizer.localization = values
            elif part == 'map':
                self._of_localizer.map = values_of(status)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the node, and end the process with it."""
    run_node(PanelNode, arguments=arguments)
