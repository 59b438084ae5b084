"""The localizer as a lifecycle node: it puts the parts together and schedules them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NoReturn

from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from aceg_ros.errors import AcegError, MapNotFoundError, PoseError
from aceg_ros.geometry.motion import CLOCK_SET_BACK
from aceg_ros.geometry.poses import Array
from aceg_ros.ros.common_options import AUTOSTART, depth_topics, texts
from aceg_ros.ros.localizer.cameras import Cameras
from aceg_ros.ros.localizer.interface import Interface
from aceg_ros.ros.localizer.maps import LoadedMap, LoadedMaps, MapFrames, Maps, map_files
from aceg_ros.ros.localizer.options import PARAMETERS, gate_options, initial_pose, rig_of
from aceg_ros.ros.localizer.pipeline import Hooks
from aceg_ros.ros.localizer.report import Reports, Status
from aceg_ros.ros.localizer.requests import InactiveError, Requests
from aceg_ros.ros.localizer.statistics import Statistics
from aceg_ros.ros.middleware.bond import ManagerBond
from aceg_ros.ros.middleware.diagnostics import Diagnostics
from aceg_ros.ros.parameters import RVIZ_RESET, Parameters, image_reliability
from aceg_ros.ros.spin import run_node
from aceg_ros.threads import use_threads
from aceg_ros.tracking.frames import BODY_FROM_OPTICAL
from aceg_ros.tracking.modes import TfMode
from aceg_ros.tracking.tracker import State, Tracker

NAME = 'aceg_localizer'
_NO_MAP = 'no map is given; set the parameter map, or call ~/load_map'
_LOADING = 'networks and map are being loaded'
_UNCONFIGURED = 'the node is not configured; configure and activate it'
_INACTIVE = 'the node is not active; activate it'
_OFF = 'localization is off; call ~/enable with true'
_SHUT_DOWN = 'the node is shut down; start it again'
# Seconds between looks at what does not report by itself: a camera that stopped, a wait that ends.
_WATCH = 0.2


class LocalizerNode(LifecycleNode):
    """Publishes the pose of a camera, or of what it is mounted on, in a map.

    Unconfigured it has its parameters, `~/status` and /diagnostics. Configuring loads networks and
    map, then makes publishers and services. Only an active node publishes and listens to the
    camera, unless that is switched off.
    """

    def __init__(self) -> None:
        super().__init__(NAME)
        self._settings = settings = Parameters(self, PARAMETERS, self._on_parameters)
        use_threads(settings['threads'])
        self._active = False
        self._enabled = True
        self._mirroring = False  # while the parameter `map` is set to what a service did
        self._start: tuple[Array, Array, str] | None = None  # as `start_from`, until it can be used
        self._interface: Interface | None = None  # while the node is configured
        self._awaited: Sequence[str] = ()  # maps whose files do not exist yet
        self._show_again: float | None = None  # when viewers that forgot the map get it again
        self._closing: list[Requests] = []  # whose last answers are still to be sent
        self._bond = ManagerBond(self)
        self._tracker = Tracker(gate_options(self._values()), settings['lost_after'])
        self._tracker.map_missing(_UNCONFIGURED)
        topics, self._mounts = rig_of(self._values())
        self._depths = depth_topics(self._values())
        self._cameras = Cameras(
            self,
            topics,
            settings['compressed'],
            settings['rectified'],
            image_reliability(settings['image_qos']),
            settings['rig_tolerance'],
            lambda: settings['image_timeout'],
        )
        self._statistics = Statistics(len(self._cameras.inputs))
        self._maps = Maps(
            settings['device'],
            (settings['encoder'], settings['regressor']),
            MapFrames(settings['map_frame'], settings['map_frames']),
            self._maps_came,
            self._map_failed,
            self._maps_went,
        )
        self._maps.warm_up()
        self._status = Status(self, self._tracker)
        self._diagnostics = Diagnostics(self, lambda: self._cameras.frames)
        Reports(
            self._tracker,
            self._maps,
            self._cameras,
            self._statistics,
            lambda: self._working,
            lambda: '' if self._interface is None else self._interface.worker.problem,
        ).join(self._diagnostics)
        # The watch goes on when simulated time stands still.
        self.create_timer(_WATCH, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._clock_jumps = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None,
                min_backward=Duration(seconds=-CLOCK_SET_BACK),
                on_clock_change=False,
            ),
            post_callback=self._on_clock_jump,
        )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load networks and map; FAILURE when one of them cannot be loaded, as the log says."""
        self._tracker.map_missing(_LOADING)
        self._watch()
        try:
            self._load()
        except AcegError:
            self._maps.release()
            self._watch()
            return TransitionCallbackReturn.FAILURE
        hooks = Hooks(
            tf_timeout=lambda: self._settings['tf_timeout'],
            outdated=lambda: not self._working,
            time_jumped=self._forget_past,
            examined=self._examined,
            begins=self._begins,
            fixed=self._fixed,
        )
        self._interface = Interface(
            self,
            self._settings,
            self._cameras,
            self._mounts,
            self._depths,
            self._maps,
            self._tracker,
            self._statistics,
            self,
            hooks,
        )
        # On its own it is active next.
        if not self._settings[AUTOSTART.name]:
            self._watch()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Publish the map, and listen to the camera."""
        outcome = super().on_activate(state)
        self._active = True
        if self._settings['set_initial_pose']:
            self.start_from(*initial_pose(self._values()))
        if self._interface is not None:
            self._interface.outputs.show_map(self._map_to_show)
        self._listen()
        if not self._settings[AUTOSTART.name]:
            self._bond.form()
        return outcome

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen no more."""
        self._bond.end()
        self._active = False
        self._listen()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give networks and map back, and remove publishers and services."""
        outcome = super().on_cleanup(state)
        self._close(_UNCONFIGURED)
        return outcome

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin anew, after an exception in one of the others."""
        self.get_logger().error('a transition failed by a bug; the node is unconfigured again')
        self._close(_UNCONFIGURED)
        return super().on_error(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End all work."""
        outcome = super().on_shutdown(state)
        self._close(_SHUT_DOWN)
        self._maps.stop()
        return outcome

    def load_map(self, url: str) -> Future[LoadedMaps]:
        """Begin to load a map in place of others; raises InactiveError where none is wanted."""
        self._want_maps(url)
        return self._maps.load([url], self._settings['min_confidence'])

    def add_map(self, url: str) -> Future[LoadedMaps]:
        """Begin to load a map beside others; raises InactiveError where none is wanted."""
        self._want_maps(url)
        return self._maps.add(url, self._settings['min_confidence'])

    def remove_map(self, url: str) -> Future[LoadedMaps | None]:
        """Use a map no longer, given by name or as for the others; raises InactiveError."""
        self._want_maps(url)
        return self._maps.remove(url, _NO_MAP)

    def maps_changed(self, url: str | None = None) -> None:
        """Have the parameter say what a service did; ``url`` where that named all the maps."""
        if self._interface is None:
            return  # maps went with the configuration, and come back with it
        value: str | list[str] = url or ''
        if url is None and self._maps.current is not None:
            paths = [str(each.path) for each in self._maps.current.by_name.values()]
            value = paths if len(paths) > 1 else paths[0]
        self._mirroring = True
        self.set_parameters([Parameter('map', value=value)])
        self._mirroring = False

    def enable(self, enabled: bool) -> str:
        """Work, or pause; says what holds now. Raises InactiveError."""
        if not self._active:
            raise InactiveError(self._pause)
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

    def start_from(self, map_from_body: Array, covariance: Array, frame: str = '') -> None:
        """Search near a pose of a body that looks along its x axis; covariance (6, 6).

        ``frame`` is that of the map, empty for the first one. The pose is kept until there is a
        map, and images show whether the body is base or camera. Raises PoseError when no map in use
        has that frame.
        """
        self._map_of(frame)
        self._start = map_from_body, covariance, frame
        if self._maps.current is not None and self._tf_mode is not None:
            self._begins()

    @property
    def _working(self) -> bool:
        return self._active and self._enabled

    def _want_maps(self, url: str) -> None:
        if self._interface is None:
            raise InactiveError(f'{url} cannot be loaded: {self._tracker.status[1]}')

    def _map_of(self, frame: str) -> str:
        """The place of the map with a frame, of the first for none; empty while there is no map."""
        maps = self._maps.current
        if maps is None:
            return ''
        loaded = maps.in_frame(frame) if frame else maps.first
        if loaded is None:
            frames = ' or '.join(repr(each.frame) for each in maps.by_name.values())
            raise PoseError(f'it is given in frame {frame!r}, not in {frames}')
        return loaded.place

    @property
    def _tf_mode(self) -> TfMode | None:
        return None if self._interface is None else self._interface.tracked_frames.mode

    @property
    def _pause(self) -> str:
        """Why it does not work."""
        if self._interface is None:
            return self._tracker.status[1]
        return _OFF if self._active else _INACTIVE

    def _load(self) -> None:
        """Load networks and map, and wait for that; raises AcegError, which is logged."""
        urls, missing = texts(self._settings['map']), _NO_MAP
        # A manager wants to know. A node on its own waits: the mapper may be making the map.
        if urls and self._settings[AUTOSTART.name]:
            try:
                map_files(urls)
            except MapNotFoundError as error:
                self._awaited, urls, missing = urls, (), str(error)
        if urls:
            self._maps.load(urls, self._settings['min_confidence']).result()
        else:
            self._maps.prepare().result()
            self._maps.unload(missing)

    def _close(self, why: str) -> None:
        """Undo the configuration."""
        self._bond.end()
        self._active = False
        self._cameras.stop()
        self._awaited = ()
        self._maps.unload(why)
        self._maps.release()
        self._tracker.map_missing(why)
        if self._interface is not None:
            interface, self._interface = self._interface, None
            interface.requests.no_fix(why)
            interface.close()
            self._closing.append(interface.requests)
        self._watch()

    def _listen(self) -> None:
        if self._interface is not None:
            self._interface.listen(self._working)
        if self._working:
            self._cameras.start()
            self._tracker.no_images(f'no image came on {self._cameras.topics} yet')
        else:
            self._cameras.stop()
            if self._interface is not None:
                self._interface.requests.no_fix(self._pause)
        self._watch()

    def _load_awaited(self) -> None:
        """Load the maps that did not exist, once they do."""
        try:
            map_files(self._awaited)
        except AcegError:
            return
        urls, self._awaited = self._awaited, ()
        self._maps.load(urls, self._settings['min_confidence'])

    def _watch(self) -> None:
        if self._awaited:
            self._load_awaited()
        problem = self._cameras.silence if self._working else self._pause
        if self._interface is not None and self._interface.worker.stuck:
            problem = self._interface.worker.problem
        if problem:
            self._tracker.no_images(problem)
        state, words = self._tracker.status
        if self._interface is not None:
            self._interface.requests.expire(f'no fix in time; {state.value}: {words}')
            self._interface.outputs.retract_pose_unless(
                lambda: self._tracker.state is State.LOCALIZED
            )
            if self._show_again is not None and time.monotonic() > self._show_again:
                self._show_again = None
                self._interface.outputs.show_map_again()
            if state in (State.WAITING_FOR_MAP, State.WAITING_FOR_IMAGES):
                self._interface.outputs.say(f'{state.value}: {words}')
        self._closing = [requests for requests in self._closing if not requests.close()]
        if self._status.refresh():
            self._diagnostics.update()

    def _on_parameters(self, values: dict[str, Any]) -> None:
        """Apply new values; raises AcegError for a map that cannot be used."""
        if 'map' in values and not self._mirroring:
            confidence = values.get('min_confidence', self._settings['min_confidence'])
            self._change_maps(texts(values['map']), confidence)
        elif 'min_confidence' in values:
            self._maps.restrict(values['min_confidence'])
        values = self._values() | values
        self._tracker.configure(gate_options(values), values['lost_after'])

    def _values(self) -> dict[str, Any]:
        return {entry.name: self._settings[entry.name] for entry in PARAMETERS}

    def _change_maps(self, urls: Sequence[str], min_confidence: float) -> None:
        if urls:
            self._maps.check(urls)
        if self._interface is not None:
            self._awaited = ()
            if urls:
                self._maps.load(urls, min_confidence)
            else:
                self._maps.unload(_NO_MAP)

    def _maps_came(self, before: LoadedMaps | None, now: LoadedMaps) -> None:
        self._awaited = ()
        kept = now.kept_from(before)
        words = (
            f'{now.names} are loaded'
            if len(now.by_name) > 1
            else f'{now.first.path.name} is loaded'
        )
        self._tracker.map_loaded(words, kept)
        self._show_map()
        for loaded in now.by_name.values():
            if loaded.place in kept:
                continue
            self.get_logger().info(f'{loaded.path} is in use')
            if not loaded.localizer.code.info.metric:
                self.get_logger().warning(
                    f'lengths in {loaded.path.name} are not meters, as those of TF and poses '
                    'should be'
                )
        if before is not None:
            for name in before.by_name.keys() - now.by_name.keys():
                self.get_logger().info(f'the map {name} is not in use any more')

    def _map_failed(self, words: str) -> None:
        self.get_logger().error(words)
        if self._maps.current is None:
            self._tracker.map_missing(words)

    def _maps_went(self, words: str) -> None:
        self._tracker.map_missing(words)
        self._show_map()

    def _show_map(self) -> None:
        if self._interface is not None:
            self._interface.outputs.follow_map(self._map_to_show)

    @property
    def _map_to_show(self) -> LoadedMap | None:
        """The map that the body is in, or must be in; of several none before that is known."""
        maps = self._maps.current
        if maps is None:
            return None
        loaded = maps.of_place(self._tracker.map_id)
        return maps.first if loaded is None and not maps.several else loaded

    def _on_clock_jump(self, jump: TimeJump) -> None:
        words = f'the clock jumped back by {-jump.delta.nanoseconds * 1e-9:.1f} s'
        self.get_logger().warning(f'{words}; starting anew')
        self._tracker.forget(words)
        self._cameras.clear()
        self._forget_past()

    def _forget_past(self) -> None:
        self._show_again = time.monotonic() + RVIZ_RESET
        if self._interface is not None:
            self._interface.forget_past()

    def _fixed(self, words: str) -> None:
        if self._interface is not None:
            self._interface.requests.fixed(words)

    def _begins(self) -> bool:
        """Start from the pose that was given, if one was; whether there was one."""
        start, self._start = self._start, None
        if start is None:
            return False
        map_from_body, covariance, frame = start
        try:
            name = self._map_of(frame)
        except PoseError as error:
            self.get_logger().warning(f'initialpose is not used: {error}')
            return False
        x, y, z = map_from_body[:3, 3]
        if self._interface is not None and self._interface.tracked_frames.of_camera:
            map_from_body = map_from_body @ BODY_FROM_OPTICAL
        self._tracker.expect(map_from_body, covariance, name)
        self.get_logger().info(f'searching near {x:.2f}, {y:.2f}, {z:.2f} m')
        return True

    def _examined(self, problems: Mapping[int, str]) -> None:
        if words := self._cameras.examined(problems):
            self._tracker.no_images(words)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the node, and end the process with it."""
    run_node(LocalizerNode, arguments=arguments)
