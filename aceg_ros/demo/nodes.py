"""Mapper and localizer in processes of their own."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from aceg_ros.errors import AcegError

_PATIENCE = 5.0  # s that a process has to end by itself
_LAST_WORDS = 3  # lines of a log that an error cites


class NodeEndedError(AcegError):
    """A node is not there any more."""


class Nodes:
    """The two nodes, told where to record and map, and whose images they get.

    They end with this process, also when it is killed.
    """

    def __init__(self, folder: Path, budget: float, device: str, compressed: bool) -> None:
        """Start them; recording, map and logs go into ``folder``, ``budget`` is in seconds."""
        common = {'device': device, 'compressed': compressed}
        # Where the camera itself is what has a pose, there is no robot's TF to wait for.
        parameters: dict[str, Mapping[str, object]] = {
            'mapper': common
            | {
                'recording': folder / 'recording',
                'map': folder / 'map.aceg',
                'pose_source': 'topic',
                'budget': budget,
            },
            'localizer': common | {'tf_mode': 'map_to_camera'},
        }
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[IO[bytes]] = []
        try:
            for name, values in parameters.items():
                self._start(name, values)
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """Raise NodeEndedError when one of them has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                log = self._log(name)
                lines = log.read_text(errors='replace').splitlines()[-_LAST_WORDS:]
                raise NodeEndedError(
                    f'the {name} ended with status {process.returncode}; {log} ends with:\n'
                    + '\n'.join(lines)
                )

    @property
    def localizer_mb(self) -> float | None:
        """Memory that the localizer holds, in MB; None where the system does not say."""
        try:
            status = Path(f'/proc/{self._processes["localizer"].pid}/status').read_text()
        except OSError:
            return None
        sizes = [line.split()[1] for line in status.splitlines() if line.startswith('VmRSS:')]
        return int(sizes[0]) * 1024 / 1e6 if sizes else None

    def close(self) -> None:
        """End them, in good order if they can."""
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self._processes.values():
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        for log in self._logs:
            log.close()

    def _start(self, name: str, parameters: Mapping[str, object]) -> None:
        options = [
            option
            for key, value in parameters.items()
            for option in (
                '-p',
                f'{key}:={str(value).lower() if isinstance(value, bool) else value}',
            )
        ]
        self._logs.append(self._log(name).open('wb'))
        self._processes[name] = subprocess.Popen(
            [sys.executable, '-m', 'aceg_ros.demo.tethered', name, '--ros-args', *options],
            stdin=subprocess.PIPE,
            stdout=self._logs[-1],
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the others
        )

    def _log(self, name: str) -> Path:
        return self._folder / f'{name}.log'


def use_own_domain() -> None:
    """Have this process, and those it starts, talk to nobody else; unless a domain is set."""
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    if 'ROS_DOMAIN_ID' not in os.environ:
        os.environ['ROS_DOMAIN_ID'] = str(free_domain() or random.randint(1, 100))


def free_domain() -> int | None:
    """A ROS domain from 1 to 100 that nobody on this machine uses; None where all are taken."""
    for domain in random.sample(range(1, 101), 100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                # Where DDS has the first participant of a domain listen.
                probe.bind(('', 7410 + 250 * domain))
            except OSError:
                continue
            return domain
    return None
