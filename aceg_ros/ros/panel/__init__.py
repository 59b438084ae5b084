"""The node that serves a web page to record, map and localize with: `aceg_panel`."""
