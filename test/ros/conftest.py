"""A ROS domain for each test module; without ROS all of this folder is skipped."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness import Ros

HERE = Path(__file__).resolve().parent
FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Try again what fails: on a busy machine processes miss each other's deadlines."""
    if not config.pluginmanager.hasplugin('rerunfailures'):  # rosdep has no key for it
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_pycollect_makemodule() -> None:
    pytest.importorskip('rclpy', reason='ROS 2 is not installed; see tools/ros_from_pip/install.py')


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator:
    """Remember for `end_what_a_failed_test_began` whether the test failed."""
    report = (yield).get_result()
    if call.when == 'call':
        item.stash[FAILED] = report.failed


@pytest.fixture(scope='module')
def ros(tmp_path_factory) -> Iterator[Ros]:
    """A domain of its own: `start` nodes as processes, `call`, `collect`, `publisher`, ..."""
    from harness import Ros

    domain = Ros(tmp_path_factory.mktemp('ros'))
    yield domain
    domain.close()


@pytest.fixture(autouse=True)
def end_what_a_failed_test_began(request: pytest.FixtureRequest) -> Iterator[None]:
    """End nodes and services of a failed test: they would answer when it is tried again."""
    if 'ros' not in request.fixturenames:
        yield
        return
    domain = request.getfixturevalue('ros')
    processes, services = len(domain.processes), set(domain.node.services)
    yield
    if request.node.stash.get(FAILED, False):
        domain.end(domain.processes[processes:])
        for service in set(domain.node.services) - services:
            domain.node.destroy_service(service)
