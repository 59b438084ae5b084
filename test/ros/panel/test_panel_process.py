"""The panel as a process, with a real mapper: over HTTP on one side, over DDS on the other."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Condition, Thread
from typing import Any

import cv2
import numpy as np
import pytest
from harness import NodeProcess, Ros, wait_until
from mapper_robot import EASY, Robot, pose_at
from processes import TIMEOUT
from ros_document import names


class Panel:
    """The process, as a browser sees it."""

    def __init__(self, ros: Ros) -> None:
        self.process: NodeProcess = ros.start('aceg_ros.ros.panel', parameters={'port': 0})
        self.process.wait_for_output('the panel is at http://')
        self.port = int(re.search(r'http://127.0.0.1:(\d+)/', self.process.output)[1])

    def get(self, path: str) -> bytes:
        connection = HTTPConnection('127.0.0.1', self.port, timeout=TIMEOUT)
        connection.request('GET', path)
        response = connection.getresponse()
        assert response.status == 200, path
        return response.read()

    def do(self, action: str, **texts: str) -> tuple[bool, str]:
        """Press a button; whether it was done, and the words of the answer."""
        connection = HTTPConnection('127.0.0.1', self.port, timeout=2 * TIMEOUT)
        own = f'http://127.0.0.1:{self.port}'
        headers = {'Origin': own, 'Content-Type': 'application/json'}
        connection.request('POST', f'/do/{action}', json.dumps(texts), headers)
        answer = json.loads(connection.getresponse().read())
        return answer['ok'], answer['message']

    @contextmanager
    def watched(self) -> Iterator[Viewer]:
        """Somebody looks on meanwhile."""
        viewer = Viewer(self.port)
        try:
            yield viewer
        finally:
            viewer.close()


class Viewer:
    """Hears the states that the page is sent."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(('127.0.0.1', port), TIMEOUT)
        self._socket.sendall(b'GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n')
        self._changed = Condition()
        self._state: dict[str, Any] | None = None
        self._thread = Thread(target=self._hear, daemon=True)
        self._thread.start()

    def wait_for(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first state that fits."""
        with self._changed:
            heard = self._changed.wait_for(lambda: self._state and fits(self._state), TIMEOUT)
            assert heard, self._state
            return self._state

    def close(self) -> None:
        # It has ended already where the panel has.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(TIMEOUT)
        self._socket.close()

    def _hear(self) -> None:
        # The connection breaks where the panel ends.
        with suppress(OSError):
            for line in self._socket.makefile('rb'):
                if line.startswith(b'data: '):
                    with self._changed:
                        self._state = json.loads(line.removeprefix(b'data: '))
                        self._changed.notify_all()


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Where the mapper records."""
    return tmp_path_factory.mktemp('panel') / 'recording'


@pytest.fixture(scope='module')
def panel(ros, folder) -> Panel:
    """With a mapper beside it, and without a localizer."""
    places = {'recording': folder, 'map': folder.parent / 'place.aceg'}
    ros.start('aceg_ros.ros.mapper', parameters=EASY | {'pose_source': 'topic'} | places)
    return Panel(ros)


def test_records_by_its_buttons(ros, panel, folder):
    with panel.watched() as viewer:
        told = viewer.wait_for(lambda state: state['mapper']['there'])
        assert told['mapper']['map'] == str(folder.parent / 'place.aceg')
        ok, words = panel.do('record')
        try:
            assert ok, words
            # The mapper's camera, and the panel's.
            wait_until(lambda: ros.node.count_subscribers('image') == 2)
            robot = Robot(ros)
            start = robot.later()
            for index in (0, 1):
                robot.stay(folder, start + index, pose_at(5 * index))
            viewer.wait_for(lambda state: state['mapper']['keyframes'] == 2)
            viewer.wait_for(lambda state: state['camera']['number'] > 0)
        finally:
            ok, words = panel.do('stop')
        assert ok
        assert words == 'stopped; 2 keyframes so far'
        viewer.wait_for(lambda state: state['mapper']['state'] == 'idle')
        first, second = np.array(json.loads(panel.get('/scene.json'))['keyframes']).reshape(2, 4)
        assert np.allclose(second[:2] - first[:2], [0.5, 0.0], atol=2e-3)
        picture = np.frombuffer(panel.get('/image.jpg'), np.uint8)
        assert cv2.imdecode(picture, cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_a_node_that_is_missing_is_told_with_the_remedy(panel):
    with panel.watched() as viewer:
        told = viewer.wait_for(lambda state: not state['localizer']['there'])['localizer']
        assert told['words'].endswith('start it: ros2 launch aceg_ros localize.launch.py')
        assert panel.do('relocalize') == (False, told['words'])
        assert panel.do('load_map', map_url='a.aceg') == (False, told['words'])


@pytest.mark.parametrize('path', ['', ' ', 'a' * 1001, 'a\0b', '\ud800'])
def test_what_is_no_path_is_not_sent(panel, path):
    ok, words = panel.do('load_map', map_url=path)
    assert not ok
    assert words.startswith('give the path of a map')


def test_listens_to_and_calls_what_is_documented(ros, panel):
    """The camera only while somebody looks on."""
    general = re.compile(r'/(rosout|parameter_events|clock)$')
    ask = ros.node.get_subscriber_names_and_types_by_node

    def heard() -> set[str]:
        return {name for name, _ in ask('aceg_panel', '/') if not general.search(name)}

    def documented(title: str) -> set[str]:
        return {name if name[0] == '/' else f'/{name}' for name in names(title)}

    with panel.watched():
        wait_until(lambda: heard() == documented('Topics of aceg_panel'))
        called = {
            name for name, _ in ros.node.get_client_names_and_types_by_node('aceg_panel', '/')
        }
        assert called == documented('Services that aceg_panel calls')
    wait_until(lambda: '/image' not in heard())


def test_ends_though_somebody_looks_on(ros):
    panel = Panel(ros)
    with panel.watched() as viewer:
        viewer.wait_for(lambda state: not state['localizer']['there'])
        assert panel.process.stop(signal.SIGINT) == 0
    assert 'Traceback' not in panel.process.output
