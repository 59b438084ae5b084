"""`python -m aceg_ros.ros.mapper` runs the node."""

import sys

from aceg_ros.ros.mapper.node import main

sys.exit(main())
