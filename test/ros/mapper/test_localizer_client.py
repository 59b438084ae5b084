"""A localizer that is told of a map, and says nothing."""

from __future__ import annotations

from pathlib import Path

from harness import wait_until
from nav_msgs.srv import LoadMap
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future

from aceg_ros.ros.mapper import localizer_client as module


def test_localizer_that_never_answers(ros, monkeypatch, capfd):
    monkeypatch.setattr(module, '_PATIENCE', 0.2)
    asked: list[str] = []

    async def never(request: LoadMap.Request, response: LoadMap.Response) -> LoadMap.Response:
        asked.append(request.map_url)
        await Future()
        return response

    client = module.LocalizerClient(ros.node, 'stuck/load_map')
    client.request(Path('/early.aceg'))
    client.work()
    assert 'nobody loads /early.aceg' in capfd.readouterr().err
    ros.node.create_service(
        LoadMap, 'stuck/load_map', never, callback_group=ReentrantCallbackGroup()
    )
    wait_until(lambda: client._client.service_is_ready())
    client.request(Path('/place.aceg'))
    said = ''

    def gave_up() -> bool:
        nonlocal said
        client.work()
        said += capfd.readouterr().err
        return 'has not loaded /place.aceg: it did not answer' in said

    wait_until(gave_up)
    client.request(Path('/place.aceg'))
    wait_until(lambda: client.work() or asked == ['/place.aceg'] * 2)
