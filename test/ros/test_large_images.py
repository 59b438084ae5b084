"""Raw images at a camera's rate over the transports that users have, between processes."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from processes import HELPERS

from aceg_ros.ros.status_values import CameraValues, read_values

RATE = 30.0
# Of the larger ones best effort loses most on any machine.
SCALES = {'reliable': 1, 'best_effort': 2}


@pytest.fixture(params=SCALES)
def reports(ros, request, tmp_path):
    """What /diagnostics says of the camera of a mapper, by the reliability of its publisher."""
    usual = {'FASTDDS_BUILTIN_TRANSPORTS': 'DEFAULT'}
    mapper = ros.start(
        'aceg_ros.ros.mapper',
        parameters={'recording': tmp_path / 'recording', 'map': tmp_path / 'map.aceg'},
        remap={'__ns': f'/{request.param}'},
        environment=usual,
    )
    camera = ros.start(
        str(HELPERS / 'camera_node.py'),
        request.param,
        str(RATE),
        str(SCALES[request.param]),
        remap={'__ns': f'/{request.param}'},
        environment=usual,
    )
    heard = ros.collect(DiagnosticArray, '/diagnostics')

    def wait_for(where):
        def fits(array: DiagnosticArray) -> bool:
            return any(each.name.endswith(': camera') and where(each) for each in array.status)

        return next(s for s in heard.wait_for(fits).status if s.name.endswith(': camera'))

    yield request.param, wait_for
    camera.kill()
    assert mapper.stop() == 0


def test_they_arrive_or_the_remedy_is_told(reports):
    """Best effort loses most of them, so a reliable publisher has to be heard reliably."""
    reliability, wait_for = reports
    if reliability == 'reliable':
        early = read_values(CameraValues, wait_for(lambda s: s.level == DiagnosticStatus.OK))
        late = wait_for(lambda s: read_values(CameraValues, s).images > early.images + 2 * RATE)
        assert late.level == DiagnosticStatus.OK, late.message
        # The first half a second is best effort.
        assert read_values(CameraValues, late).lost < 0.7 * RATE
        return
    told = wait_for(lambda s: s.level == DiagnosticStatus.WARN)
    assert 'have the camera publish them reliably, or compressed' in told.message
    values = read_values(CameraValues, told)
    assert values.lost > 0
