"""Publish a dataset over ROS 2, as a camera would."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aceg_ros.cli.common import add_selection, selected
from aceg_ros.errors import AcegError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('dataset', type=Path, help='folder or bag with images')
    add_selection(parser)
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument('--rate', type=float, help='images per second, instead of the recorded times')
    pace.add_argument('--speed', type=float, default=1.0, help='factor on the recorded pace')
    parser.add_argument('--loop', action='store_true', help='start over after the last image')
    parser.add_argument(
        '--clock', action='store_true', help='publish /clock, and stamp images with recorded times'
    )
    parser.add_argument('--wait', action='store_true', help='start when somebody subscribes')
    parser.add_argument(
        '--compressed', action='store_true', help='publish JPEG on image/compressed'
    )
    parser.add_argument(
        '--poses', action='store_true', help="publish the dataset's poses on the topic pose"
    )
    parser.add_argument('--tf', action='store_true', help="publish the dataset's poses on /tf")
    parser.add_argument('--frame-id', default='camera_optical_frame', help='frame_id of images')
    parser.add_argument('--world-frame', default='map', help="frame of the dataset's poses")
    parser.add_argument('--namespace', default='', help='namespace of the topics')


def run(arguments: argparse.Namespace) -> int:
    """Play until the last image, or until Ctrl-C."""
    try:
        from aceg_ros.ros.player import PlayOptions, play
    except ImportError as error:
        raise AcegError(
            f'ROS 2 is needed to play a dataset, and cannot be imported ({error}); source its '
            'setup.bash, or install it as the README says'
        ) from error
    dataset = selected(arguments, arguments.dataset)
    options = PlayOptions(
        rate=arguments.rate,
        speed=arguments.speed,
        loop=arguments.loop,
        clock=arguments.clock,
        compressed=arguments.compressed,
        wait=arguments.wait,
        poses=arguments.poses,
        tf=arguments.tf,
        frame_id=arguments.frame_id,
        world_frame=arguments.world_frame,
        namespace=arguments.namespace,
    )

    def say(line: str) -> None:
        print(f'aceg: {line}', file=sys.stderr, flush=True)

    played = play(dataset, options, say)
    say(f'{played.frames} images published')
    if played.delayed:
        say(f'reading could not keep up {played.delayed} times; try a lower rate')
    return 1 if played.unreadable and not played.frames else 0
