"""A headless Chromium, driven over a pipe by its DevTools protocol; Linux only."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROGRAM = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), ''
)
_PATIENCE = 30.0  # s


class Browser:
    """One page."""

    def __init__(self, profile: Path, width: int = 1280, height: int = 900) -> None:
        """Start it, with a profile of its own."""
        # Chromium reads commands from descriptor 3 and writes answers to 4.
        command_end, self._commands = os.pipe()
        self._answers, answer_end = os.pipe()

        def attach() -> None:
            # Out of the way of each other first.
            copies = os.dup(command_end), os.dup(answer_end)
            os.dup2(copies[0], 3)
            os.dup2(copies[1], 4)

        self._process = subprocess.Popen(
            [
                PROGRAM,
                '--headless',
                '--remote-debugging-pipe',
                '--no-sandbox',
                '--disable-gpu',
                '--disable-dev-shm-usage',
                '--no-first-run',
                f'--user-data-dir={profile}',
                f'--window-size={width},{height}',
                'about:blank',
            ],
            preexec_fn=attach,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(command_end)
        os.close(answer_end)
        self._buffer = b''
        self._count = 0
        self._session = ''
        self.complaints: list[str] = []  # of the console, and errors
        (page,) = (t for t in self._call('Target.getTargets')['targetInfos'] if t['type'] == 'page')
        attached = self._call('Target.attachToTarget', targetId=page['targetId'], flatten=True)
        self._session = attached['sessionId']
        for domain in ('Page', 'Runtime', 'Log'):
            self._call(f'{domain}.enable')

    def open(self, url: str) -> None:
        """Go to a page."""
        self._call('Page.navigate', url=url)

    def resize(self, width: int, height: int, dark: bool = False, scale: float = 1.0) -> None:
        """Show it on a screen of this size (CSS pixels)."""
        self._call(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
        self._call('Emulation.setEmulatedMedia', features=[scheme])

    def value(self, script: str) -> Any:
        """Value of an expression, or of the promise that it gives."""
        answer = self._call(
            'Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True
        )
        assert 'exceptionDetails' not in answer, answer['exceptionDetails']
        return answer['result'].get('value')

    def wait_for(self, script: str, timeout: float = _PATIENCE) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + timeout
        while not self.value(script):
            assert time.monotonic() < deadline, f'waited {timeout} s in vain for {script}'
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """Press a key, such as Tab or Enter, as somebody without a mouse does."""
        codes = {'Tab': 9, 'Enter': 13}
        text = {'text': '\r'} if key == 'Enter' else {}
        pressed = {'key': key, 'code': key, 'windowsVirtualKeyCode': codes[key]}
        self._call('Input.dispatchKeyEvent', type='keyDown', **pressed, **text)
        self._call('Input.dispatchKeyEvent', type='keyUp', **pressed)

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write a PNG of what is seen, or of the whole page."""
        answer = self._call('Page.captureScreenshot', captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer['data']))

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def _call(self, method: str, **parameters: Any) -> Any:
        self._count += 1
        message = {'id': self._count, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._commands, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._read()
            if answer.get('id') == self._count:
                assert 'error' not in answer, answer['error']
                return answer['result']
            self._note(answer)

    def _read(self) -> Mapping[str, Any]:
        while b'\0' not in self._buffer:
            data = os.read(self._answers, 1 << 16)
            assert data, 'the browser has ended'
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b'\0')
        return json.loads(line)

    def _note(self, event: Mapping[str, Any]) -> None:
        told = event.get('params', {})
        if event.get('method') == 'Runtime.exceptionThrown':
            self.complaints.append(json.dumps(told['exceptionDetails']))
        elif event.get('method') == 'Log.entryAdded':
            self.complaints.append(f'{told["entry"]["text"]} {told["entry"].get("url", "")}')
