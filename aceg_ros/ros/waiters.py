"""Service calls that wait for something to happen, without keeping the executor from its work."""

from __future__ import annotations

import math
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from threading import Lock

from rclpy.node import Node
from rclpy.task import Future


@dataclass
class _Waiter:
    """One call and its answer."""

    deadline: float  # time.monotonic()
    done: Future[None] = field(default_factory=Future)
    success: bool = False
    message: str = ''


class Waiters:
    """Service calls that wait; all are answered together, from any thread."""

    def __init__(self, node: Node) -> None:
        # Has the executor look at calls that were answered by another thread.
        self._node = node
        self._wake = node.create_guard_condition(lambda: None)
        self._waiting: list[_Waiter] = []
        self._lock = Lock()

    def __bool__(self) -> bool:
        """Whether a call waits."""
        return bool(self._waiting)

    def wait(self, timeout: float) -> Coroutine[None, None, tuple[bool, str]]:
        """Begin to wait; to be awaited by service callbacks in a group of their own.

        Gives success and message, as answered. After `timeout` seconds `expire` answers.
        """
        waiter = _Waiter(time.monotonic() + timeout)
        with self._lock:
            self._waiting.append(waiter)
        return self._answer_to(waiter)

    def close(self) -> None:
        """Remove the guard condition; nobody may be waiting."""
        self._node.destroy_guard_condition(self._wake)

    def answer(self, success: bool, message: str) -> None:
        """Answer all."""
        self._answer(success, message, math.inf)

    def expire(self, message: str) -> None:
        """Answer the calls whose time is over; to be called regularly."""
        self._answer(False, message, time.monotonic())

    @staticmethod
    async def _answer_to(waiter: _Waiter) -> tuple[bool, str]:
        await waiter.done
        return waiter.success, waiter.message

    def _answer(self, success: bool, message: str, deadline: float) -> None:
        with self._lock:
            answered = [waiter for waiter in self._waiting if waiter.deadline <= deadline]
            self._waiting = [waiter for waiter in self._waiting if waiter.deadline > deadline]
        for waiter in answered:
            waiter.success, waiter.message = success, message
            waiter.done.set_result(None)
        if answered:
            self._wake.trigger()
