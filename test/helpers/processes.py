"""Nodes in processes of their own, and waiting for what they do."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread

HELPERS = Path(__file__).resolve().parent
ROOT = HELPERS.parents[1]
# s; only what fails takes that long.
TIMEOUT = 60.0
# As linux/prctl.h has it: the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class NodeProcess:
    """A node in a process of its own, which ends with the tests, also when those are killed."""

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
                preexec_fn=partial(_end_with, os.getpid()),
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

    def wait_for_output(self, text: str, since: int = 0) -> None:
        """Wait until it has written `text`, after its first `since` characters."""

        def written() -> bool:
            return text in self.output[since:]

        wait_until(lambda: written() or not self.alive, what=f'output {text!r}')
        assert written(), f'ended without {text!r}:\n{self.output}'

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Exit status of a process that ends by itself."""
        return self._process.wait(timeout)

    def stop(self, number: signal.Signals = signal.SIGINT, within: float = 2.0) -> int:
        """Exit status after a signal; fails when it takes longer than `within` seconds.

        Time in which its threads stood in line for a core does not count.
        """
        start = time.monotonic()
        before = self._waits()
        waits = dict(before)
        self._process.send_signal(number)
        while self.alive:
            if time.monotonic() - start > TIMEOUT:
                self.kill()
                raise AssertionError(f'did not end:\n{self.output}')
            waits |= self._waits()
            time.sleep(0.01)
        took = time.monotonic() - start
        waited = sum(waits.values()) - sum(before.values())
        assert took - waited < within, f'took {took:.1f} s to end:\n{self.output}'
        return self._process.returncode

    def _waits(self) -> dict[str, float]:
        """Seconds that each thread could have run, but had no core; empty where nothing tells."""
        waits = {}
        for task in Path(f'/proc/{self.pid}/task').glob('*'):
            with suppress(OSError, IndexError):  # ended meanwhile
                waits[task.name] = int((task / 'schedstat').read_text().split()[1]) * 1e-9
        return waits

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.wait()


def _end_with(parent: int) -> None:
    """Have this process, just forked, get SIGTERM when its parent ends. Linux only."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it has ended before
        os._exit(1)


def gone(pid: int) -> bool:
    """Whether a process has ended, if only as a zombie that nobody waits for."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z'
    except FileNotFoundError:
        return True


@contextmanager
def repeating(work: Callable[[], object], rate: float) -> Iterator[None]:
    """Do something `rate` times a second meanwhile."""
    done = Event()

    def play() -> None:
        while not done.is_set():
            work()
            done.wait(1.0 / rate)

    thread = Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def wait_until(
    condition: Callable[[], bool], timeout: float = TIMEOUT, what: str = 'the condition'
) -> None:
    """Poll a condition; fails when it does not come to hold."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f'waited {timeout} s in vain for {what}'
        time.sleep(0.02)
