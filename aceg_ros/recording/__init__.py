"""A moving camera as a recording: its pose at each image, and which images to keep."""
