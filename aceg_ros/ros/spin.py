"""Running a node as a process: start, spinning, and an end that is always clean and quick."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread, Timer
from types import FrameType
from typing import NoReturn

import rclpy
from rclpy.executors import (
    Executor,
    ExternalShutdownException,
    MultiThreadedExecutor,
    SingleThreadedExecutor,
)
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from aceg_ros.errors import AcegError
from aceg_ros.ros.common_options import AUTOSTART

FAILED = 1
# A process that takes longer to end than this (s) is ended, whatever it still does.
PATIENCE = 1.2
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_node(
    make_node: Callable[[], Node],
    threads: int = 1,
    arguments: Sequence[str] | None = None,
) -> NoReturn:
    """Make a node, spin it until SIGINT or SIGTERM, and end it and the process.

    The interpreter is not wound up: a thread that still frees networks would abort it then.

    A lifecycle node is configured and activated at once, unless it has AUTOSTART and that is false.
    It is shut down at the end. Its `on_shutdown` must stop what the node started, and can still
    publish. With more than one of `threads`, callbacks of different callback groups run side by
    side. An AcegError from `make_node` is logged, and the status is 1.
    """
    node: Node | None = None
    spinner: _Spinner | None = None
    status = FAILED
    try:
        for number in _SIGNALS:
            signal.signal(number, _interrupt)
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        node = make_node()
        if isinstance(node, LifecycleNode):
            _start(node)
        # Known before it spins: a node that spins must not be destroyed.
        spinner = _Spinner(node, threads)
        spinner.run()
    except KeyboardInterrupt:
        status = 0
    except AcegError as error:
        get_logger('aceg_ros').fatal(str(error))
    finally:
        timer = Timer(PATIENCE, _end, (status,))
        timer.daemon = True
        timer.start()
        if spinner is not None:
            spinner.stop()
        if node is not None:
            if isinstance(node, LifecycleNode):
                _shut_down(node)
            node.destroy_node()
        rclpy.try_shutdown()
    _end(status)


class _Spinner:
    """An executor in a thread of its own, so that the main thread can attend to signals."""

    def __init__(self, node: Node, threads: int) -> None:
        self._executor: Executor = (
            SingleThreadedExecutor() if threads == 1 else MultiThreadedExecutor(threads)
        )
        self._executor.add_node(node)
        self._ended = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._spin, name='spin', daemon=True)

    def run(self) -> None:
        """Block while the executor spins; raises what a callback raised."""
        self._thread.start()
        self._ended.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End `run`, which may not have begun."""
        self._executor.shutdown(timeout_sec=PATIENCE)
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()


def _start(node: LifecycleNode) -> None:
    name = AUTOSTART.name
    if node.has_parameter(name) and not node.get_parameter(name).value:
        return
    for transition in (node.trigger_configure, node.trigger_activate):
        if transition() != TransitionCallbackReturn.SUCCESS:
            raise AcegError(f'{node.get_name()} could not be started; its log above says why')


def _shut_down(node: LifecycleNode) -> None:
    # Raised where its service shut it down before.
    with suppress(RuntimeError):
        node.trigger_shutdown()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the process in good order; further signals must not disturb that."""
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end(status: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
