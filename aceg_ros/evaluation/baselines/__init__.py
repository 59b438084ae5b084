"""Opponents to measure the map code against: classical SIFT, and one network per scene."""
