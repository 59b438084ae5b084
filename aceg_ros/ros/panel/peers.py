"""The nodes that the panel asks: whether they are there, and their services."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from http import HTTPStatus
from queue import SimpleQueue
from typing import Any

from nav_msgs.srv import LoadMap
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.task import Future as RosFuture
from std_srvs.srv import SetBool, Trigger

from aceg_ros.ros.load_map import why_not_loaded
from aceg_ros.ros.panel.server import RequestError
from aceg_ros.ros.panel.state import Presence

_PATIENCE = 60.0  # s that a service has to answer
_ASK_AGAIN = 2.0  # s
_MOST_QUESTIONS = 10
_LONGEST = 1000  # characters of a text from the page

Outcome = tuple[bool, str]


@dataclass(frozen=True)
class Action:
    """What a button does."""

    of_mapper: bool  # else of the localizer
    service: str
    kind: type
    request: Callable[[Mapping[str, str]], Any]  # from the texts that the page sent
    told: Callable[[Any], Outcome] = lambda response: (response.success, response.message)


def _switch(of_mapper: bool, service: str, on: bool) -> Action:
    return Action(of_mapper, service, SetBool, lambda _: SetBool.Request(data=on))


def _trigger(of_mapper: bool, service: str) -> Action:
    return Action(of_mapper, service, Trigger, lambda _: Trigger.Request())


def _load_map(texts: Mapping[str, str]) -> LoadMap.Request:
    url = texts.get('map_url', '').strip()
    # What is not printable cannot all be sent, and is in no path that somebody typed.
    if not 0 < len(url) <= _LONGEST or not url.isprintable():
        raise RequestError(
            HTTPStatus.BAD_REQUEST, 'give the path of a map, as the localizer sees it'
        )
    return LoadMap.Request(map_url=url)


def _loaded(response: LoadMap.Response) -> Outcome:
    why = why_not_loaded(response)
    return not why, f'the map is not loaded: {why}' if why else 'the map is in use'


# By the name that the page calls them by.
ACTIONS = {
    'record': _switch(True, 'record_and_map', True),
    'stop_and_map': _switch(True, 'record_and_map', False),
    'record_more': _switch(True, 'record', True),
    'stop': _switch(True, 'record', False),
    'add_keyframe': _trigger(True, 'add_keyframe'),
    'fit': _trigger(True, 'fit'),
    'cancel': _trigger(True, 'cancel'),
    'save': _trigger(True, 'save'),
    'reset': _trigger(True, 'reset'),
    'load_map': Action(False, 'load_map', LoadMap, _load_map, _loaded),
    'relocalize': _trigger(False, 'relocalize'),
    'resume': _switch(False, 'enable', True),
    'pause': _switch(False, 'enable', False),
}


class Peer:
    """Another node: its presence, and what it does when asked.

    It counts as there once it has answered: only then is it sure to know this node's clients, and
    answers to one that it does not know get lost. All but `ask` is for the executor's thread.
    """

    def __init__(
        self, node: Node, name: str, of_mapper: bool, parameters: list[str], remedy: str
    ) -> None:
        """`parameters` to be told of; `remedy` is what starts the node."""
        self.full_name = node.resolve_topic_name(name)
        self._missing = f'{self.full_name} is not running; start it: {remedy}'
        self._wanted = parameters
        self.presence = Presence(self._missing)
        self._requests: SimpleQueue[tuple[Action, Any, Future[Any]]] = SimpleQueue()
        self._wake = node.create_guard_condition(self._send)
        kinds = {
            each.service: each.kind for each in ACTIONS.values() if each.of_mapper is of_mapper
        }
        self._services = {
            service: node.create_client(kind, f'{name}/{service}')
            for service, kind in kinds.items()
        }
        self._of_parameters = node.create_client(GetParameters, f'{name}/get_parameters')
        self._questions: deque[RosFuture[Any]] = deque()
        self._asked = 0.0  # time.monotonic()

    def look(self) -> None:
        """See whether the node is there; to be called regularly."""
        client = self._of_parameters
        if not client.service_is_ready():
            self.presence = Presence(self._missing)
            self._asked = 0.0
        elif time.monotonic() - self._asked > _ASK_AGAIN:
            self._asked = time.monotonic()
            # On a busy computer answers come late; those that got lost must not pile up.
            if len(self._questions) >= _MOST_QUESTIONS:
                client.remove_pending_request(self._questions.popleft())
            self._questions.append(client.call_async(GetParameters.Request(names=self._wanted)))
            self._questions[-1].add_done_callback(self._on_parameters)

    def ask(self, action: Action, texts: Mapping[str, str]) -> Outcome:
        """Have something done, and wait for the answer; from any thread but the executor's."""
        request = action.request(texts)
        if self.presence.missing:
            return False, self.presence.missing
        answer: Future[Any] = Future()
        self._requests.put((action, request, answer))
        self._wake.trigger()
        try:
            response = answer.result(_PATIENCE)
        except FutureTimeoutError:
            return False, f'{self.full_name} has not answered for {_PATIENCE:.0f} s; see its log'
        if response is None:
            return False, f'{self.full_name} does not offer {action.service} in its present state'
        return action.told(response)

    def _send(self) -> None:
        while not self._requests.empty():
            action, request, answer = self._requests.get()
            client = self._services[action.service]
            if not client.service_is_ready():
                answer.set_result(None)
                continue
            asked = client.call_async(request)
            asked.add_done_callback(lambda done, answer=answer: answer.set_result(done.result()))

    def _on_parameters(self, done: RosFuture[Any]) -> None:
        response = done.result()
        if response is None or not self._of_parameters.service_is_ready():
            return
        values = map(parameter_value_to_python, response.values)
        self.presence = Presence(
            '', {n: str(v) for n, v in zip(self._wanted, values, strict=False)}
        )
