"""The node that records a place and maps it: `aceg_mapper`."""
