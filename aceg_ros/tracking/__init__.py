"""From single localizations to the track of a moving body: states, gate and frames, without ROS."""
