"""The node that says where the camera is: `aceg_localizer`."""
