"""What a configured node has towards others: TF, publishers, services, and a thread for images."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.lifecycle import LifecycleNode

from aceg_ros.geometry.poses import Array
from aceg_ros.ros.depth_input import DepthInput
from aceg_ros.ros.localizer.cameras import Cameras
from aceg_ros.ros.localizer.maps import Maps
from aceg_ros.ros.localizer.options import AUTO
from aceg_ros.ros.localizer.outputs import Outputs
from aceg_ros.ros.localizer.pipeline import Hooks, Pipeline
from aceg_ros.ros.localizer.requests import Localizer, Requests
from aceg_ros.ros.localizer.rig_mounting import RigMounting
from aceg_ros.ros.localizer.statistics import Statistics
from aceg_ros.ros.localizer.tracked_frame import FrameNames, TrackedFrames
from aceg_ros.ros.middleware.tf import Transforms, TransformSender
from aceg_ros.ros.parameters import Parameters
from aceg_ros.ros.worker import Worker
from aceg_ros.tracking.modes import TfMode
from aceg_ros.tracking.tracker import Tracker

# Seconds that the end waits for the image at hand.
_PATIENCE = 1.0


class Interface:
    """Made when the node is configured, closed when that is undone."""

    def __init__(
        self,
        node: LifecycleNode,
        settings: Parameters,
        cameras: Cameras,
        mounts: Array | None,
        depths: Sequence[str],
        maps: Maps,
        tracker: Tracker,
        statistics: Statistics,
        localizer: Localizer,
        hooks: Hooks,
    ) -> None:
        """``mounts`` are those of a rig's file, see `RigMounting`; ``depths`` as `depth_topics`.

        ``localizer`` does what is asked for, ``hooks`` connect the pipeline with the node.
        """
        self._node = node
        self._settings = settings
        self._maps = maps
        self._tracker = tracker
        self.transforms = Transforms(node)
        self.tracked_frames = TrackedFrames(
            self.transforms,
            None if settings['tf_mode'] == AUTO else TfMode(settings['tf_mode']),
            FrameNames(settings['odom_frame'], settings['base_frame'], settings['camera_frame']),
            RigMounting(self.transforms, settings['base_frame'], mounts) if cameras.names else None,
        )
        # Who never sends does not seem to: `ros2 topic info -v /tf` shows who may.
        silent = self.tracked_frames.mode is TfMode.NONE
        self._sender = None if silent else TransformSender(node)
        self.outputs = Outputs(
            node,
            self.transforms,
            self._sender,
            settings['map_frame'],
            settings['odom_frame'],
            lambda: settings['path_length'],
        )
        self.requests = Requests(node, localizer, lambda: settings['relocalize_timeout'])
        self._depths = DepthInput.of_cameras(node, self.transforms, settings, depths)
        pipeline = Pipeline(
            maps,
            tracker,
            self.tracked_frames,
            self.outputs,
            statistics,
            hooks,
            node.get_clock(),
            node.get_logger(),
            cameras.names,
            self._depths,
        )
        self.worker = Worker(cameras, pipeline, self._min_interval, node.get_logger(), 'localize')
        # By the clock of the stamps, as TF.
        self._timer = node.create_timer(1.0 / settings['tf_rate'], self._send_odometry)

    def close(self) -> None:
        """End all work and remove what others see, but for calls that wait for their answer.

        Those end with `requests.close`.
        """
        self.worker.stop(_PATIENCE)
        self._node.destroy_timer(self._timer)
        self.outputs.close()
        if self._sender is not None:
            self._sender.close()
        self.listen(False)
        self.transforms.close()

    def listen(self, wanted: bool) -> None:
        """Hear the depth cameras, if there are any, or hear them no more."""
        for depth in filter(None, self._depths):
            if wanted:
                depth.start()
            else:
                depth.stop()

    def forget_past(self) -> None:
        """Begin TF and path anew, after a jump in time."""
        self.transforms.clear()
        self.outputs.forget_path()

    def _send_odometry(self) -> None:
        maps, located = self._maps.current, self._tracker.map_from_odom
        if maps is None or located is None or self.tracked_frames.mode is not TfMode.MAP_TO_ODOM:
            return
        place, map_from_odom = located
        loaded = maps.of_place(place)
        if loaded is not None:
            self.outputs.publish_odometry(
                loaded.frame, map_from_odom, self._settings['transform_tolerance']
            )

    def _min_interval(self) -> float:
        rate = self._settings['max_rate']
        return 1.0 / rate if rate else 0.0
