"""Services of the localizer, and the topic of poses to start from."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.srv import LoadMap
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future as RosFuture
from std_srvs.srv import SetBool, Trigger

from aceg_ros.errors import AcegError, MapCodeError, MapNotFoundError
from aceg_ros.geometry.poses import Array
from aceg_ros.ros.localizer.maps import MapMismatchError
from aceg_ros.ros.messages import pose_from_message
from aceg_ros.ros.waiters import Waiters
from aceg_ros.tracking.pose_prior import believable

T = TypeVar('T')


class InactiveError(AcegError):
    """Something was asked that the node cannot do in its present state."""


class Localizer(Protocol):
    """The node, as far as it carries out requests."""

    def load_map(self, url: str) -> Future[Any]:
        """Begin to load a map in place of others; raises InactiveError where none is wanted."""

    def add_map(self, url: str) -> Future[Any]:
        """Begin to load a map beside others; raises InactiveError where none is wanted."""

    def remove_map(self, url: str) -> Future[Any]:
        """Use a map no longer, given by name or as for the others; raises InactiveError."""

    def maps_changed(self, url: str | None = None) -> None:
        """What was asked for is done; ``url`` named all the maps that are in use now."""

    def enable(self, enabled: bool) -> str:
        """Work, or pause; says what holds now. Raises InactiveError."""

    def relocalize(self) -> None:
        """Forget what was known; raises InactiveError where no fix can follow."""

    def start_from(self, map_from_body: Array, covariance: Array, frame: str) -> None:
        """Search near a pose of a body that looks along its x axis; covariance (6, 6).

        ``frame`` is that of the map. Raises PoseError when no map in use has it.
        """


class Requests:
    """The services and `initialpose` of the node.

    Services that take time are coroutines, so that the executor goes on meanwhile; a guard
    condition has it look at them when there is something to answer.
    """

    def __init__(self, node: Node, localizer: Localizer, timeout: Callable[[], float]) -> None:
        """``timeout``: seconds that `relocalize` waits for a fix."""
        self._localizer = localizer
        self._timeout = timeout
        self._node = node
        self._calls = 0  # that are still to be answered
        self._logger = node.get_logger()
        self._wake = node.create_guard_condition(lambda: None)
        self._waiters = Waiters(node)
        create = node.create_service
        # One change of the maps after the other.
        changes = MutuallyExclusiveCallbackGroup()
        self._services = [
            create(LoadMap, '~/load_map', self._load_map, callback_group=changes),
            create(LoadMap, '~/add_map', self._add_map, callback_group=changes),
            create(LoadMap, '~/remove_map', self._remove_map, callback_group=changes),
            create(SetBool, '~/enable', self._enable),
            create(
                Trigger, '~/relocalize', self._relocalize, callback_group=ReentrantCallbackGroup()
            ),
        ]
        self._initialpose = node.create_subscription(
            PoseWithCovarianceStamped, 'initialpose', self._start_from, QoSProfile(depth=1)
        )

    def close(self) -> bool:
        """Remove services and subscription, unless a call waits for its answer; whether it did."""
        if self._calls:
            return False
        for service in self._services:
            self._node.destroy_service(service)
        self._node.destroy_subscription(self._initialpose)
        self._node.destroy_guard_condition(self._wake)
        self._waiters.close()
        return True

    def fixed(self, words: str) -> None:
        """Answer all calls that wait for a fix; from any thread."""
        self._waiters.answer(True, words)

    def no_fix(self, words: str) -> None:
        """Answer all calls that wait for a fix with why none will come; from any thread."""
        self._waiters.answer(False, words)

    def expire(self, words: str) -> None:
        """Answer the calls that have waited too long with the reason why there is no fix."""
        self._waiters.expire(words)

    async def _load_map(
        self, request: LoadMap.Request, response: LoadMap.Response
    ) -> LoadMap.Response:
        url = request.map_url
        response.result = await self._changed(lambda: self._localizer.load_map(url), url)
        return response

    async def _add_map(
        self, request: LoadMap.Request, response: LoadMap.Response
    ) -> LoadMap.Response:
        response.result = await self._changed(lambda: self._localizer.add_map(request.map_url))
        return response

    async def _remove_map(
        self, request: LoadMap.Request, response: LoadMap.Response
    ) -> LoadMap.Response:
        response.result = await self._changed(lambda: self._localizer.remove_map(request.map_url))
        return response

    async def _changed(self, begin: Callable[[], Future[Any]], url: str | None = None) -> int:
        """Result of a change of the maps in use; ``url`` where it names all of them."""
        self._calls += 1
        try:
            try:
                work = begin()
            except AcegError as error:
                self._logger.warning(str(error))
                return _failure(error)
            try:
                await self._done(work)
            except AcegError as error:
                # The log has it from where it happened.
                return _failure(error)
            self._localizer.maps_changed(url)
            return int(LoadMap.Response.RESULT_SUCCESS)
        finally:
            self._calls -= 1

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        try:
            response.message = self._localizer.enable(request.data)
            response.success = True
        except AcegError as error:
            response.message = str(error)
        return response

    async def _relocalize(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        try:
            self._localizer.relocalize()
        except AcegError as error:
            response.message = str(error)
            return response
        self._calls += 1
        try:
            response.success, response.message = await self._waiters.wait(self._timeout())
        finally:
            self._calls -= 1
        return response

    def _start_from(self, message: PoseWithCovarianceStamped) -> None:
        frame = message.header.frame_id.lstrip('/')
        try:
            pose = pose_from_message(message.pose.pose)
            covariance = believable(np.array(message.pose.covariance).reshape(6, 6))
            self._localizer.start_from(pose, covariance, frame)
        except AcegError as error:
            self._logger.warning(f'initialpose is not used: {error}')

    async def _done(self, work: Future[T]) -> T:
        """Result of work in another thread."""
        done: RosFuture[None] = RosFuture()

        def finish(_: Future[T]) -> None:
            done.set_result(None)
            self._wake.trigger()

        work.add_done_callback(finish)
        await done
        return work.result()


def _failure(error: AcegError) -> int:
    """How the message says what went wrong; the words are in the log."""
    kinds = {
        MapNotFoundError: LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST,
        MapMismatchError: LoadMap.Response.RESULT_INVALID_MAP_METADATA,
        MapCodeError: LoadMap.Response.RESULT_INVALID_MAP_DATA,
    }
    for kind, result in kinds.items():
        if isinstance(error, kind):
            return result
    return LoadMap.Response.RESULT_UNDEFINED_FAILURE
