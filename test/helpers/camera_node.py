"""Publishes raw images of 640x480, or larger, and their calibrations, as a camera's driver does.

Arguments: `reliable` or `best_effort`, the rate in Hz, and how many times as large.
"""

import sys
import time
from array import array

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

WIDTH, HEIGHT = 640 * int(sys.argv[3]), 480 * int(sys.argv[3])

rclpy.init()
node = Node('camera')
reliability = ReliabilityPolicy[sys.argv[1].upper()]
qos = QoSProfile(depth=5, reliability=reliability)
images = node.create_publisher(Image, 'image', qos)
infos = node.create_publisher(CameraInfo, 'camera_info', qos)
pixels = array('B', bytes(3 * WIDTH * HEIGHT))
image = Image(width=WIDTH, height=HEIGHT, step=3 * WIDTH, encoding='rgb8', data=pixels)
image.header.frame_id = 'camera'
info = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model='plumb_bob', d=[0.0] * 5)
info.k = [float(WIDTH), 0.0, WIDTH / 2, 0.0, float(WIDTH), HEIGHT / 2, 0.0, 0.0, 1.0]
while True:
    image.header.stamp = node.get_clock().now().to_msg()
    info.header = image.header
    infos.publish(info)
    images.publish(image)
    time.sleep(1.0 / float(sys.argv[2]))
