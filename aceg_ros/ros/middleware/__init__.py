"""What not every ROS environment provides, each behind one interface whoever provides it."""
