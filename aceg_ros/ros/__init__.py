"""The ROS 2 nodes. Only here are rclpy and messages imported; nodes translate and schedule."""
