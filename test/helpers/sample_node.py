"""A small lifecycle node that does as its parameter `behavior` says; run by test_spin.py."""

from __future__ import annotations

import time
from threading import Thread

from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from std_msgs.msg import String
from std_srvs.srv import Trigger

from aceg_ros.errors import AcegError
from aceg_ros.ros.common_options import AUTOSTART
from aceg_ros.ros.parameter_table import Parameter
from aceg_ros.ros.parameters import Parameters
from aceg_ros.ros.spin import run_node

TABLE = (
    AUTOSTART,
    Parameter('behavior', 'good', 'What to do.'),
    Parameter('rate', 10.0, 'How often.', unit='Hz', minimum=0.5, maximum=100.0),
    Parameter('count', 3, 'How many.', minimum=1),
    Parameter('mode', 'a', 'Which.', choices=('a', 'b')),
    Parameter(
        'label',
        '',
        'Any text without x.',
        check=lambda text: 'has an x: leave it out' if 'x' in text else None,
    ),
    Parameter('fixed', True, 'Only at the start.', read_only=True),
)


class SampleNode(LifecycleNode):
    def __init__(self) -> None:
        super().__init__('sample')
        self.parameters = Parameters(self, TABLE, self.change)
        self.behavior = self.parameters['behavior']
        if self.behavior == 'refuse':
            raise AcegError('there is no map; give one')
        if self.behavior == 'slow start':
            print('starting', flush=True)
            time.sleep(60)
        self.said = self.create_publisher(String, '~/said', 10)
        self.create_service(Trigger, '~/fail', self.fail)
        if self.behavior == 'stuck worker':
            Thread(target=time.sleep, args=(60,)).start()

    def change(self, values: dict[str, object]) -> None:
        if values.get('label') == 'late':
            raise AcegError('too late')
        self.get_logger().info(f'changed {values}')

    def fail(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.behavior == 'stuck callback':
            print('stuck', flush=True)
            time.sleep(60)
        raise ZeroDivisionError('a bug')

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        if self.behavior == 'unconfigurable':
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        if self.behavior == 'stuck shutdown':
            time.sleep(60)
        self.said.publish(String(data='bye'))
        print('said bye', flush=True)
        return TransitionCallbackReturn.SUCCESS


if __name__ == '__main__':
    run_node(SampleNode)
