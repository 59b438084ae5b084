"""`python -m aceg_ros.ros.localizer` runs the node."""

from aceg_ros.ros.localizer.node import main

main()
