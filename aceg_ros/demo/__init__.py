"""The main job over ROS 2: a camera is carried through a place twice, past mapper and localizer."""
