"""Sends the transforms of a robot: a static one, one that moves, and one not connected to them.

Over and over the same ones: `odom` to `base` at 100.0 s and 100.4 s, `base` to `camera` always.
"""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from aceg_ros.geometry.poses import Array, make_pose, so3_exp
from aceg_ros.ros.messages import to_stamp, transform_message
from aceg_ros.ros.middleware.tf import TransformSender
from aceg_ros.ros.parameters import LATCHED
from aceg_ros.ros.spin import run_node

TIMES = (100.0, 100.4)
BASE_FROM_CAMERA = make_pose(so3_exp([0.3, -1.2, 0.5]), [0.2, -0.1, 0.9])
TURN = np.array([0.0, 0.0, 0.8])


def odom_from_base(stamp: float) -> Array:
    """Straight on at 2.5 m/s, turning at 2 rad/s."""
    progress = (stamp - TIMES[0]) / (TIMES[1] - TIMES[0])
    return make_pose(so3_exp(progress * TURN), [progress, 2.0, 0.0])


class FramesNode(Node):
    def __init__(self) -> None:
        super().__init__('frames')
        self.sender = TransformSender(self)
        self.static = self.create_publisher(TFMessage, '/tf_static', LATCHED)
        camera = TransformStamped(
            header=Header(frame_id='base'),
            child_frame_id='/camera',
            transform=transform_message(BASE_FROM_CAMERA),
        )
        self.static.publish(TFMessage(transforms=[camera]))
        self.create_timer(0.1, self.send)

    def send(self) -> None:
        for time in TIMES:
            self.sender.send('odom', 'base', odom_from_base(time), to_stamp(time))
        self.sender.send('elsewhere', 'thing', np.eye(4), to_stamp(TIMES[0]))
        broken = np.eye(4)
        broken[0, 3] = np.nan
        self.sender.send('odom', 'broken', broken, to_stamp(TIMES[0]))


if __name__ == '__main__':
    run_node(FramesNode)
