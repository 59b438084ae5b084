"""Procedural indoor worlds, rendered as RGB-D images from any camera on a CPU or a GPU."""

from aceg_ros.lab.worlds.light import LIGHTS, Light, random_light
from aceg_ros.lab.worlds.record import record
from aceg_ros.lab.worlds.render import RgbdBatch, render, render_depth
from aceg_ros.lab.worlds.sensor import Sensor, random_sensor, sense
from aceg_ros.lab.worlds.tours import TOURS, clearance, look, novel_views, tour, tour_beside
from aceg_ros.lab.worlds.world import DIFFICULTIES, World, WorldOptions, make_world

__all__ = [
    'DIFFICULTIES',
    'LIGHTS',
    'TOURS',
    'Light',
    'RgbdBatch',
    'Sensor',
    'World',
    'WorldOptions',
    'clearance',
    'look',
    'make_world',
    'novel_views',
    'random_light',
    'random_sensor',
    'record',
    'render',
    'render_depth',
    'sense',
    'tour',
    'tour_beside',
]
