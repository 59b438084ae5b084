"""As much of the command `ros2` as launch files call, for where ros2cli is not installed.

`service call` calls the mapper; `bag play` writes what it was told, and ends unless it loops.
"""

import sys
import time

import rclpy
from std_srvs.srv import SetBool

if sys.argv[1:3] == ['bag', 'play']:
    print('playing', *sys.argv[3:], flush=True)
    time.sleep(600.0 if '--loop' in sys.argv else 1.0)
    sys.exit()
assert sys.argv[1:3] == ['service', 'call'] and sys.argv[4] == 'std_srvs/srv/SetBool', sys.argv
rclpy.init()
node = rclpy.create_node('caller')
client = node.create_client(SetBool, sys.argv[3])
client.wait_for_service()
time.sleep(1.0)  # until the service knows the client too
answer = client.call_async(SetBool.Request(data=sys.argv[5] == '{data: true}'))
rclpy.spin_until_future_complete(node, answer)
print('answer:', answer.result().message, flush=True)
