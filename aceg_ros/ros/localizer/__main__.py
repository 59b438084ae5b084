"""`python -m aceg_ros.ros.localizer` runs the node."""

import sys

from aceg_ros.ros.localizer.node import main

sys.exit(main())
