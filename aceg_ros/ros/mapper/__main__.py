"""`python -m aceg_ros.ros.mapper` runs the node."""

from aceg_ros.ros.mapper.node import main

main()
