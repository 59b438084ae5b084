"""Nodes in processes of their own, and waiting for what they do."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# s; only what fails takes that long.
TIMEOUT = 60.0


class NodeProcess:
    """A node in a process of its own."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open('w') as file:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(os.environ) | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has written so far, to standard output and error."""
        return self.log.read_text(errors='replace')

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_for_output(self, text: str, timeout: float = TIMEOUT) -> None:
        """Wait until it has written `text`."""
        wait_until(lambda: text in self.output or not self.alive, timeout, f'output {text!r}')
        assert text in self.output, f'ended without {text!r}:\n{self.output}'

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Exit status of a process that ends by itself."""
        return self._process.wait(timeout)

    def stop(self, number: signal.Signals = signal.SIGINT, within: float = 2.0) -> int:
        """Exit status after a signal; fails when it takes longer than `within` seconds."""
        start = time.monotonic()
        self._process.send_signal(number)
        try:
            status = self._process.wait(within + 10.0)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f'did not end:\n{self.output}') from None
        took = time.monotonic() - start
        assert took < within, f'took {took:.1f} s to end:\n{self.output}'
        return status

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.wait()


def wait_until(
    condition: Callable[[], bool], timeout: float = TIMEOUT, what: str = 'the condition'
) -> None:
    """Poll a condition; fails when it does not come to hold."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f'waited {timeout} s in vain for {what}'
        time.sleep(0.02)
