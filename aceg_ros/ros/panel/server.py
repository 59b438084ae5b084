"""The page over HTTP: its files, the state as it changes, the image, and requests; knows no ROS.

A page of another site may not ask for anything here, although the browser that shows it can:
- a name in `Host` that is not this computer's is refused, so that no foreign name can be pointed
  here (DNS rebinding);
- a request is taken only from the page itself, as `Origin` says (cross-site request forgery);
- what the browser says to come from another site (`Sec-Fetch-Site`) gets nothing but the page.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import socketserver
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Semaphore, Thread
from typing import Any, Protocol
from urllib.parse import urlsplit

from aceg_ros.errors import AcegError

MOST_CONNECTIONS = 32
MOST_VIEWERS = 8
MOST_BYTES = 4096  # of a request's body

_FILES = {
    '/': ('index.html', 'text/html; charset=utf-8'),
    '/panel.css': ('panel.css', 'text/css; charset=utf-8'),
    '/panel.js': ('panel.js', 'text/javascript; charset=utf-8'),
}
_PAGE = Path(__file__).resolve().parent / 'page'
_TIMEOUT = 20.0  # s that a connection may be silent, or not take what is sent
_KEEP_ALIVE = 5.0  # s between words to a viewer, which tell whether it is still there
_HEADERS = {
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    'Cross-Origin-Resource-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
}
_FULL = b'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'


class PanelError(AcegError):
    """The page cannot be served as the parameters ask for."""


class RequestError(AcegError):
    """A request that is not carried out."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status


class Content(Protocol):
    """What is served; called from the server's threads."""

    def image(self) -> bytes | None:
        """The newest image as JPEG; None while there is none."""

    def scene(self) -> bytes:
        """What is drawn from above, as JSON."""

    def act(self, action: str, texts: Mapping[str, str]) -> tuple[bool, str]:
        """Have a node do something; whether it did, and its words. Raises RequestError."""


class Feed:
    """The state, for all who look on."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._viewers = 0
        self._closed = False
        self._text = ''
        self._number = 0

    @property
    def viewers(self) -> int:
        """How many look on."""
        return self._viewers

    def publish(self, text: str) -> None:
        """Show another state, as one line; the same one is not sent again."""
        with self._changed:
            if text != self._text:
                self._text = text
                self._number += 1
                self._changed.notify_all()

    def join(self) -> bool:
        """Begin to look on; False when too many do."""
        with self._changed:
            if self._closed or self._viewers >= MOST_VIEWERS:
                return False
            self._viewers += 1
            return True

    def leave(self) -> None:
        """Look on no longer; without viewers there is no state, as nobody keeps it."""
        with self._changed:
            self._viewers -= 1
            if not self._viewers:
                self._text = ''

    def wait(self, number: int, timeout: float) -> tuple[int, str] | None:
        """The state and its number, once it is not `number`; no text after the timeout.

        None when the server ends.
        """
        with self._changed:
            new = self._changed.wait_for(
                lambda: self._closed or (self._number != number and self._text), timeout
            )
            if self._closed:
                return None
            return self._number if new else number, self._text if new else ''

    def close(self) -> None:
        """Let all viewers go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Server:
    """Serves in threads of its own until it is closed."""

    def __init__(self, host: str, port: int, content: Content, feed: Feed) -> None:
        """Begin; `port` 0 takes a free one. Raises PanelError where the port cannot be had."""
        self._feed = feed
        try:
            self._http = _HttpServer(host, port, content, feed)
        except (OSError, OverflowError) as error:
            raise PanelError(
                f'the page cannot be served at port {port} of {host} ({error}); set port or host'
            ) from error
        self.port: int = self._http.server_address[1]
        self._thread = Thread(
            target=self._http.serve_forever, args=(0.1,), name='http', daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End; connections that are open end with the process."""
        self._feed.close()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def is_this_computer(host: str, names: frozenset[str]) -> bool:
    """Whether a `Host` header names an address, `localhost` or one of this computer's names.

    Other names may belong to somebody who pointed them here. Addresses belong to nobody else.
    """
    try:
        name = urlsplit(f'//{host}').hostname or ''
    except ValueError:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in names
    return True


def is_same_origin(origin: str, host: str) -> bool:
    """Whether a request with these headers comes from a page of this server."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ('http', 'https') and bool(host) and parts.netloc == host


class _HttpServer(ThreadingHTTPServer):
    """Takes a bounded number of connections."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, host: str, port: int, content: Content, feed: Feed) -> None:
        self.address_family = socket.AF_INET6 if ':' in host else socket.AF_INET
        own = socket.gethostname().lower()
        self.names = frozenset({'localhost', own, f'{own}.local'})
        self.content = content
        self.feed = feed
        self.files = {
            path: ((_PAGE / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()
        }
        self._free = Semaphore(MOST_CONNECTIONS)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer would look up this computer's name, which takes long where no DNS answers.
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        request.setblocking(False)
        with suppress(OSError):
            request.send(_FULL)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of broken connections: browsers close them whenever they like."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: _HttpServer
    protocol_version = 'HTTP/1.1'
    timeout = _TIMEOUT

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self._answer(lambda: self._get(path))

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, action: Callable[[], None]) -> None:
        try:
            if not is_this_computer(self.headers.get('Host', ''), self.server.names):
                raise RequestError(
                    HTTPStatus.FORBIDDEN,
                    'this name is not known here: use the address of the computer, or localhost',
                )
            action()
        except RequestError as error:
            # A body that was not read would be taken for the next request.
            self.close_connection = True
            self._send_json({'ok': False, 'message': str(error)}, error.status)

    def _get(self, path: str) -> None:
        if path in self.server.files:
            self._send(*self.server.files[path])
            return
        if self.headers.get('Sec-Fetch-Site', 'none') not in ('same-origin', 'none'):
            raise RequestError(HTTPStatus.FORBIDDEN, 'only the page itself may ask for this')
        if path == '/events':
            self._stream()
        elif path == '/image.jpg':
            image = self.server.content.image()
            if image is None:
                raise RequestError(HTTPStatus.NOT_FOUND, 'there is no image yet')
            self._send(image, 'image/jpeg')
        elif path == '/scene.json':
            self._send(self.server.content.scene(), 'application/json')
        else:
            raise RequestError(HTTPStatus.NOT_FOUND, 'there is no such page')

    def _post(self) -> None:
        headers = self.headers
        if not is_same_origin(headers.get('Origin', ''), headers.get('Host', '')):
            raise RequestError(HTTPStatus.FORBIDDEN, 'requests are taken from the page only')
        if headers.get_content_type() != 'application/json':
            raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 'send application/json')
        texts = self._texts()
        before, _, action = self.path.rpartition('/')
        if before != '/do':
            raise RequestError(HTTPStatus.NOT_FOUND, 'there is no such page')
        ok, words = self.server.content.act(action, texts)
        self._send_json({'ok': ok, 'message': words}, HTTPStatus.OK)

    def _texts(self) -> dict[str, str]:
        """The body: an object of texts."""
        length = self.headers.get('Content-Length', '')
        if not (length.isascii() and length.isdigit()):
            raise RequestError(HTTPStatus.LENGTH_REQUIRED, 'say how long the request is')
        if len(length) > 9 or int(length) > MOST_BYTES:
            raise RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f'send {MOST_BYTES} bytes at most'
            )
        try:
            texts = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, 'the request is not JSON') from error
        if not isinstance(texts, dict) or not all(isinstance(v, str) for v in texts.values()):
            raise RequestError(HTTPStatus.BAD_REQUEST, 'send an object of texts')
        return texts

    def _stream(self) -> None:
        """Server-sent events: each state as it comes, until the viewer or the server ends."""
        feed = self.server.feed
        if not feed.join():
            raise RequestError(
                HTTPStatus.SERVICE_UNAVAILABLE, f'{MOST_VIEWERS} pages are open already; close one'
            )
        try:
            self.close_connection = True
            self.send_response(HTTPStatus.OK)
            self.send_header('Content-Type', 'text/event-stream')
            self.end_headers()
            number = -1
            while (news := feed.wait(number, _KEEP_ALIVE)) is not None:
                number, text = news
                # A line that begins with a colon is a comment.
                self.wfile.write(f'data: {text}\n\n'.encode() if text else b':\n\n')
        finally:
            feed.leave()

    def _send_json(self, values: dict[str, Any], status: HTTPStatus) -> None:
        self._send(json.dumps(values).encode(), 'application/json', status)

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header('Connection', 'close')
        super().end_headers()

    def version_string(self) -> str:
        return 'aceg_panel'

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the nodes log what they are asked for."""
