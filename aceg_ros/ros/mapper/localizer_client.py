"""Requests to a localizer to load a finished map."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from nav_msgs.srv import LoadMap
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

from aceg_ros.ros.load_map import why_not_loaded

_PATIENCE = 60.0  # s; a localizer may have its networks to load first


class LocalizerClient:
    """Calls the service of a localizer and logs its answers."""

    def __init__(self, node: Node, service: str) -> None:
        """An empty `service` sends no requests."""
        self._logger = node.get_logger()
        self._client: Client | None = node.create_client(LoadMap, service) if service else None
        self._finished: SimpleQueue[Path] = SimpleQueue()
        self._asked: dict[Future[LoadMap.Response], float] = {}  # with its deadline

    def request(self, map_file: Path) -> None:
        """Request that a map is loaded; from any thread."""
        self._finished.put(map_file)

    def work(self) -> None:
        """Send what was requested and give up late answers; for a timer of the executor."""
        for future, deadline in list(self._asked.items()):
            if time.monotonic() > deadline:
                future.cancel()
        while not self._finished.empty():
            map_file = self._finished.get()
            if self._client is None:
                continue
            if not self._client.service_is_ready():
                self._logger.warning(
                    f'nobody loads {map_file}: there is no service {self._client.srv_name}'
                )
                continue
            future = self._client.call_async(LoadMap.Request(map_url=str(map_file)))
            self._asked[future] = time.monotonic() + _PATIENCE
            future.add_done_callback(partial(self._answered, map_file))

    def _answered(self, map_file: Path, done: Future[LoadMap.Response]) -> None:
        self._asked.pop(done, None)
        response = done.result()
        why = 'it did not answer' if response is None else why_not_loaded(response)
        if why:
            self._logger.error(f'the localizer has not loaded {map_file}: {why}')
        else:
            self._logger.info(f'the localizer has loaded {map_file}')
