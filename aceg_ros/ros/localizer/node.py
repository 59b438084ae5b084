"""The localizer as a lifecycle node: it puts the parts together and schedules them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from aceg_ros.geometry.poses import Array
from aceg_ros.ros.camera_health import CameraHealth
from aceg_ros.ros.camera_input import CameraInput
from aceg_ros.ros.localizer.maps import LoadedMap, Maps
from aceg_ros.ros.localizer.options import AUTO, PARAMETERS, gate_options
from aceg_ros.ros.localizer.outputs import Outputs
from aceg_ros.ros.localizer.pipeline import Hooks, Pipeline
from aceg_ros.ros.localizer.report import Reports, Status
from aceg_ros.ros.localizer.requests import InactiveError, Requests
from aceg_ros.ros.localizer.statistics import Statistics
from aceg_ros.ros.localizer.tracked_frame import FrameNames, TrackedFrames
from aceg_ros.ros.middleware.diagnostics import Diagnostics
from aceg_ros.ros.middleware.tf import Transforms
from aceg_ros.ros.parameters import Parameters, image_qos
from aceg_ros.ros.spin import run_node
from aceg_ros.ros.worker import Worker
from aceg_ros.tracking.frames import BODY_FROM_OPTICAL
from aceg_ros.tracking.modes import TfMode
from aceg_ros.tracking.tracker import JUMP_BACK, Tracker

NAME = 'aceg_localizer'
_NO_MAP = 'no map is given; set the parameter map, or call ~/load_map'
_UNCONFIGURED = 'the node is not configured'
_INACTIVE = 'the node is not active; activate it'
_OFF = 'localization is off; call ~/enable with true'
# Seconds between looks at what does not report by itself: a camera that stopped, a wait that ends.
_WATCH = 0.2
# Seconds that the end of the node waits for the image at hand.
_PATIENCE = 1.0


class LocalizerNode(LifecycleNode):
    """Publishes the pose of a camera, or of what it is mounted on, in a map.

    All parts are made at once and stay. Configuring loads networks and map in the background; an
    active node listens to the camera, unless that is switched off.
    """

    def __init__(self) -> None:
        super().__init__(NAME)
        self._settings = settings = Parameters(self, PARAMETERS, self._on_parameters)
        self._configured = self._active = False
        self._enabled = True
        self._mirrored_map: str | None = None
        self._tracker = Tracker(gate_options(self._values()), settings['lost_after'])
        self._tracker.map_missing(_UNCONFIGURED)
        self._statistics = Statistics()
        self._transforms = Transforms(self)
        self._camera = CameraInput(
            self, settings['compressed'], settings['rectified'], image_qos(settings['image_qos'])
        )
        self._health = CameraHealth(
            self._camera, lambda: settings['image_timeout'], self.get_logger()
        )
        self._maps = Maps(
            settings['device'],
            settings['encoder'],
            settings['regressor'],
            self._map_came,
            self._map_failed,
            self._map_went,
        )
        self._tracked_frames = TrackedFrames(
            self._transforms,
            None if settings['tf_mode'] == AUTO else TfMode(settings['tf_mode']),
            FrameNames(settings['odom_frame'], settings['base_frame'], settings['camera_frame']),
        )
        self._outputs = Outputs(
            self,
            self._transforms,
            settings['map_frame'],
            settings['odom_frame'],
            lambda: settings['path_length'],
        )
        self._requests = Requests(
            self, self, settings['map_frame'], lambda: settings['relocalize_timeout']
        )
        self._status = Status(self, self._tracker)
        self._diagnostics = Diagnostics(self, self._camera.topic)
        Reports(
            self._tracker, self._maps, self._health, self._statistics, lambda: self._working
        ).join(self._diagnostics)
        self._worker = Worker(
            self._camera, self._make_pipeline(), self._min_interval, self.get_logger(), 'localize'
        )
        # TF follows the clock of the stamps; the watch goes on when that one stands still.
        self.create_timer(1.0 / settings['tf_rate'], self._send_odometry)
        self.create_timer(_WATCH, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._clock_jumps = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None,
                min_backward=Duration(seconds=-JUMP_BACK),
                on_clock_change=False,
            ),
            post_callback=self._on_clock_jump,
        )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to load; what comes of it is told by the status."""
        self._configured = True
        self._tracker.map_missing('networks and map are being loaded')
        if self._settings['map']:
            self._maps.load(self._settings['map'], self._settings['min_inliers'])
        else:
            self._maps.prepare()
            self._maps.unload(_NO_MAP)
        self._watch()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the camera."""
        self._active = True
        self._listen()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen no more."""
        self._active = False
        self._listen()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give networks and map back."""
        self._configured = False
        self._maps.unload(_UNCONFIGURED)
        self._maps.release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End all work."""
        self._configured = self._active = False
        self._camera.stop()
        self._maps.stop()
        self._worker.stop(_PATIENCE)
        return super().on_shutdown(state)

    def load_map(self, url: str) -> Future[LoadedMap]:
        """Begin to load a map; raises InactiveError where none is wanted."""
        if not self._configured:
            raise InactiveError(f'{url} cannot be loaded: {_UNCONFIGURED}')
        return self._maps.load(url, self._settings['min_inliers'])

    def map_loaded(self, url: str) -> None:
        """Have the parameter say what a service did."""
        self._mirrored_map = url
        self.set_parameters([Parameter('map', value=url)])
        self._mirrored_map = None

    def enable(self, enabled: bool) -> str:
        """Work, or pause; says what holds now. Raises InactiveError."""
        if not self._active:
            raise InactiveError(_INACTIVE)
        if enabled != self._enabled:
            self._enabled = enabled
            self._listen()
        return 'localization is on' if enabled else 'localization is off'

    def relocalize(self) -> None:
        """Forget what was known; raises InactiveError where no fix can follow."""
        if not self._working:
            raise InactiveError(self._pause)
        if self._maps.current is None:
            raise InactiveError(self._tracker.status[1])
        self._tracker.forget('relocalization was asked for')

    def start_from(self, map_from_body: Array, covariance: Array) -> None:
        """Search near a pose of a body that looks along its x axis; covariance (6, 6).

        Raises InactiveError before it is known whether that is the base or the camera.
        """
        x, y, z = map_from_body[:3, 3]
        if self._tracked_frames.mode is None:
            raise InactiveError('whose pose it is shows only when images come; give it again then')
        if self._tracked_frames.mode is TfMode.MAP_TO_CAMERA:
            map_from_body = map_from_body @ BODY_FROM_OPTICAL
        self._tracker.expect(map_from_body, covariance)
        self.get_logger().info(f'searching near {x:.2f}, {y:.2f}, {z:.2f} m')

    @property
    def _working(self) -> bool:
        return self._active and self._enabled

    @property
    def _pause(self) -> str:
        """Why it does not work."""
        return _OFF if self._active else _INACTIVE

    def _listen(self) -> None:
        if self._working:
            self._health.begin()
            self._camera.start()
            self._tracker.no_images(f'no image came on {self._camera.topic} yet')
        else:
            self._camera.stop()
            self._requests.no_fix(self._pause)
        self._watch()

    def _watch(self) -> None:
        problem = self._health.silence if self._working else self._pause
        if problem:
            self._tracker.no_images(problem)
        state, words = self._tracker.status
        self._requests.expire(f'no fix in time; {state.value}: {words}')
        if self._status.refresh():
            self._diagnostics.update()

    def _on_parameters(self, values: dict[str, Any]) -> None:
        """Apply new values; raises AcegError for a map that cannot be used."""
        url = values.get('map')
        if url is not None and url != self._mirrored_map:
            self._change_map(url, values.get('min_inliers', self._settings['min_inliers']))
        elif 'min_inliers' in values:
            self._maps.restrict(values['min_inliers'])
        values = self._values() | values
        self._tracker.configure(gate_options(values), values['lost_after'])

    def _values(self) -> dict[str, Any]:
        return {entry.name: self._settings[entry.name] for entry in PARAMETERS}

    def _change_map(self, url: str, min_inliers: int) -> None:
        if url:
            self._maps.check(url)
        if self._configured:
            if url:
                self._maps.load(url, min_inliers)
            else:
                self._maps.unload(_NO_MAP)

    def _map_came(self, loaded: LoadedMap) -> None:
        self._tracker.map_loaded(f'{loaded.path.name} is loaded')
        self._outputs.map(loaded)
        self.get_logger().info(f'{loaded.path} is in use')
        if not loaded.localizer.code.info.metric:
            self.get_logger().warning(
                f'lengths in {loaded.path.name} are not meters, as those of TF and poses should be'
            )

    def _map_failed(self, words: str) -> None:
        self.get_logger().error(words)
        if self._maps.current is None:
            self._tracker.map_missing(words)

    def _map_went(self, words: str) -> None:
        self._tracker.map_missing(words)
        self._outputs.map(None)

    def _send_odometry(self) -> None:
        map_from_odom = self._tracker.map_from_odom
        if map_from_odom is not None and self._tracked_frames.mode is TfMode.MAP_TO_ODOM:
            self._outputs.odometry(map_from_odom, self._settings['transform_tolerance'])

    def _on_clock_jump(self, jump: TimeJump) -> None:
        words = f'the clock jumped back by {-jump.delta.nanoseconds * 1e-9:.1f} s'
        self.get_logger().warning(f'{words}; starting anew')
        self._tracker.forget(words)
        self._camera.clear()
        self._health.begin()
        self._forget_past()

    def _forget_past(self) -> None:
        self._transforms.clear()
        self._outputs.forget_path()

    def _min_interval(self) -> float:
        rate = self._settings['max_rate']
        return 1.0 / rate if rate else 0.0

    def _make_pipeline(self) -> Pipeline:
        hooks = Hooks(
            tf_timeout=lambda: self._settings['tf_timeout'],
            outdated=lambda: not self._working,
            time_jumped=self._forget_past,
            examined=self._examined,
            fixed=self._requests.fixed,
        )
        return Pipeline(
            self._maps,
            self._tracker,
            self._tracked_frames,
            self._outputs,
            self._statistics,
            hooks,
            self.get_clock(),
            self.get_logger(),
        )

    def _examined(self, problem: str) -> None:
        if self._health.examined(problem):
            self._tracker.no_images(problem)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; the exit status of the process."""
    return run_node(LocalizerNode, arguments=arguments)
