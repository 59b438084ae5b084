"""The panel's HTTP server: what it serves, and whom it refuses."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from processes import wait_until

from aceg_ros.ros.panel import server as module
from aceg_ros.ros.panel.options import PARAMETERS
from aceg_ros.ros.panel.server import (
    MOST_BYTES,
    MOST_CONNECTIONS,
    MOST_VIEWERS,
    Feed,
    PanelError,
    Server,
    is_same_origin,
    is_this_computer,
)
from aceg_ros.ros.parameter_table import ParameterError

NAMES = frozenset({'localhost', 'robot', 'robot.local'})
PAGE = Path(module.__file__).parent / 'page'


class Content:
    """Serves texts of the test's, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.picture: bytes | None = None
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    def image(self) -> bytes | None:
        return self.picture

    def scene(self) -> bytes:
        return b'{"points": []}'

    def act(self, action: str, texts: Mapping[str, str]) -> tuple[bool, str]:
        self.asked.append((action, texts))
        return action == 'record', f'{action}: done or not'


@pytest.fixture
def content() -> Content:
    return Content()


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def server(content, feed) -> Iterator[Server]:
    served = Server('127.0.0.1', 0, content, feed)
    yield served
    served.close()


def ask(server: Server, method: str, path: str, body: str | None = None, **headers: str):
    """Response with its body; underscores in names of headers are hyphens."""
    connection = HTTPConnection('127.0.0.1', server.port, timeout=10)
    try:
        named = {name.replace('_', '-'): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def get(server: Server, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    return ask(server, 'GET', path, **headers)


def post(server: Server, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
    """Status and answer; as the page asks, but for headers that are given."""
    as_page = {
        'Origin': f'http://127.0.0.1:{server.port}',
        'Content_Type': 'application/json',
    }
    text = body if isinstance(body, str) else json.dumps({} if body is None else body)
    response, answer = ask(server, 'POST', path, text, **as_page | headers)
    return response.status, json.loads(answer)


def watch(server: Server) -> socket.socket:
    """A connection that looks on."""
    connection = socket.create_connection(('127.0.0.1', server.port), timeout=10)
    connection.sendall(b'GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n')
    return connection


def read_until(connection: socket.socket, text: str) -> str:
    heard = ''
    while text not in heard:
        data = connection.recv(4096)
        assert data, heard
        heard += data.decode()
    return heard


@pytest.mark.parametrize(
    'host', ['localhost:8420', '127.0.0.1:8420', '[::1]:8420', '10.0.0.7', 'Robot']
)
def test_own_names_are_known(host):
    assert is_this_computer(host, NAMES)


@pytest.mark.parametrize(
    'host', ['', 'evil.example:8420', 'localhost.evil.example', '[', 'robot.evil']
)
def test_foreign_names_are_not_taken_for_own(host):
    assert not is_this_computer(host, NAMES)


@pytest.mark.parametrize(
    ('origin', 'host', 'same'),
    [
        ('http://localhost:8420', 'localhost:8420', True),
        ('https://robot', 'robot', True),
        ('http://localhost:9000', 'localhost:8420', False),
        ('http://evil.example', 'localhost:8420', False),
        ('null', 'localhost:8420', False),
        ('', 'localhost:8420', False),
        ('', '', False),
        ('http://', '', False),
        ('http://[', 'localhost:8420', False),
    ],
)
def test_same_origin(origin, host, same):
    assert is_same_origin(origin, host) is same


class TestPage:
    @pytest.mark.parametrize(
        ('path', 'file', 'kind'),
        [
            ('/', 'index.html', 'text/html'),
            ('/?again', 'index.html', 'text/html'),
            ('/panel.css', 'panel.css', 'text/css'),
            ('/panel.js', 'panel.js', 'text/javascript'),
        ],
    )
    def test_files(self, server, path, file, kind):
        response, body = get(server, path)
        assert response.status == 200
        assert response.getheader('Content-Type').startswith(kind)
        assert body == (PAGE / file).read_bytes()

    def test_everything_comes_from_here(self, server):
        """No other site is needed, and none may be asked or may frame the page."""
        text = ''.join(file.read_text(encoding='utf-8') for file in PAGE.iterdir())
        assert '//' not in text.replace('// ', '')
        response, _ = get(server, '/')
        policy = response.getheader('Content-Security-Policy')
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert response.getheader('X-Content-Type-Options') == 'nosniff'

    @pytest.mark.parametrize(
        'path',
        ['/server.py', '/../server.py', '/page/index.html', '//etc/passwd', '/%2e%2e/node.py'],
    )
    def test_no_other_file(self, server, path):
        response, body = get(server, path)
        assert response.status == 404
        assert json.loads(body)['ok'] is False

    def test_image_and_scene(self, server, content):
        assert get(server, '/image.jpg?1')[0].status == 404
        content.picture = b'JPEG'
        response, body = get(server, '/image.jpg?2')
        assert (response.getheader('Content-Type'), body) == ('image/jpeg', b'JPEG')
        assert response.getheader('Cross-Origin-Resource-Policy') == 'same-origin'
        assert json.loads(get(server, '/scene.json')[1]) == {'points': []}

    def test_one_connection_serves_several_requests(self, server):
        connection = HTTPConnection('127.0.0.1', server.port, timeout=10)
        for path in ('/', '/panel.js'):
            connection.request('GET', path)
            assert connection.getresponse().read()
        connection.close()


class TestForeigners:
    @pytest.mark.parametrize('path', ['/', '/events', '/image.jpg', '/scene.json'])
    def test_names_that_were_pointed_here_get_nothing(self, server, path):
        response, body = get(server, path, Host=f'evil.example:{server.port}')
        assert response.status == 403
        assert 'use the address of the computer' in json.loads(body)['message']

    @pytest.mark.parametrize('path', ['/events', '/image.jpg', '/scene.json'])
    def test_other_sites_get_the_page_only(self, server, path):
        assert get(server, path, Sec_Fetch_Site='cross-site')[0].status == 403
        assert get(server, '/', Sec_Fetch_Site='cross-site')[0].status == 200

    @pytest.mark.parametrize(
        'headers',
        [
            {'Origin': 'http://evil.example'},
            {'Origin': 'null'},
            {'Origin': ''},
            {'Host': 'evil.example', 'Origin': 'http://evil.example'},
            {'Content_Type': 'text/plain'},
        ],
    )
    def test_their_requests_are_not_carried_out(self, server, content, headers):
        status, answer = post(server, '/do/record', **headers)
        assert status in (403, 415)
        assert not answer['ok']
        assert content.asked == []

    def test_no_site_is_allowed_to_ask_in_advance(self, server):
        response, _ = ask(server, 'OPTIONS', '/do/record', Origin='http://evil.example')
        assert response.status == 501
        assert response.getheader('Access-Control-Allow-Origin') is None


class TestRequests:
    def test_is_passed_on_and_answered(self, server, content):
        assert post(server, '/do/record') == (200, {'ok': True, 'message': 'record: done or not'})
        assert post(server, '/do/load_map', {'map_url': 'a.aceg'})[1]['ok'] is False
        assert content.asked == [('record', {}), ('load_map', {'map_url': 'a.aceg'})]

    @pytest.mark.parametrize(
        ('body', 'status'),
        [
            ('', 400),
            ('{', 400),
            ('[]', 400),
            ('{"map_url": 1}', 400),
            ('[' * 4000, 400),
            (' ' * (MOST_BYTES + 1), 413),
        ],
    )
    def test_other_bodies_are_refused(self, server, content, body, status):
        assert post(server, '/do/record', body)[0] == status
        assert content.asked == []

    @pytest.mark.parametrize('length', ['-1', 'x', '1e3', '9' * 30])
    def test_lengths_that_are_none_are_refused(self, server, length):
        assert post(server, '/do/record', Content_Length=length)[0] in (411, 413)

    @pytest.mark.parametrize('path', ['/', '/record', '/do/a/b', '/events'])
    def test_other_places_take_no_requests(self, server, content, path):
        assert post(server, path)[0] == 404
        assert content.asked == []


class TestEvents:
    def test_each_state_is_sent_once(self, server, feed):
        with watch(server) as connection:
            wait_until(lambda: feed.viewers == 1)
            for state in ('{"a": 1}', '{"a": 1}', '{"a": 2}'):
                feed.publish(state)
            heard = read_until(connection, '{"a": 2}')
            assert 'text/event-stream' in heard
            assert heard.count('data: {"a": 1}') <= 1
        feed.publish('{"a": 3}')
        feed.publish('{"a": 4}')

    def test_who_comes_later_gets_the_present_state(self, server, feed):
        with watch(server) as first:
            wait_until(lambda: feed.viewers == 1)
            feed.publish('{"a": 1}')
            read_until(first, '{"a": 1}')
            with watch(server) as second:
                read_until(second, '{"a": 1}')

    def test_a_state_from_long_ago_is_not_sent(self, server, feed):
        assert feed.join()
        feed.publish('{"old": 1}')
        feed.leave()
        with watch(server) as connection:
            wait_until(lambda: feed.viewers == 1)
            feed.publish('{"new": 1}')
            assert 'old' not in read_until(connection, '{"new": 1}')

    def test_viewers_that_leave_are_noticed(self, server, feed, monkeypatch):
        monkeypatch.setattr(module, '_KEEP_ALIVE', 0.05)
        watch(server).close()
        wait_until(lambda: feed.viewers == 0)

    def test_too_many_are_told_so(self, server, feed):
        for _ in range(MOST_VIEWERS):
            assert feed.join()
        response, body = get(server, '/events')
        assert response.status == 503
        assert 'close one' in json.loads(body)['message']
        feed.leave()
        with watch(server) as connection:
            read_until(connection, 'text/event-stream')

    def test_ends_with_the_server(self, content):
        feed = Feed()
        server = Server('127.0.0.1', 0, content, feed)
        with watch(server) as connection:
            wait_until(lambda: feed.viewers == 1)
            server.close()
            while connection.recv(4096):
                pass
        assert not feed.join()


def test_connections_are_bounded(server):
    """Those that say nothing take no more threads than that; others come in when they end."""
    silent = [
        socket.create_connection(('127.0.0.1', server.port), timeout=10)
        for _ in range(MOST_CONNECTIONS)
    ]
    extra = socket.create_connection(('127.0.0.1', server.port), timeout=10)
    assert b'503' in extra.recv(100)
    extra.close()
    for connection in silent:
        connection.close()
    wait_until(lambda: served(server))


def test_a_taken_port_is_told_with_the_remedy(server, content):
    with pytest.raises(PanelError, match=rf'port {server.port} of 127.0.0.1 .*; set port or host'):
        Server('127.0.0.1', server.port, content, Feed())


@pytest.mark.parametrize('host', ['robot', '', '127.0.0.1:80'])
def test_the_address_to_bind_to_is_one(host):
    (parameter,) = (each for each in PARAMETERS if each.name == 'host')
    assert parameter.validated('::1') == '::1'
    with pytest.raises(ParameterError, match='give an IP address of this computer'):
        parameter.validated(host)


def served(server: Server) -> bool:
    try:
        return get(server, '/')[0].status == 200
    except OSError:
        return False
