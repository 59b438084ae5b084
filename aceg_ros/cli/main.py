"""The command `aceg`: parses arguments, calls one function, prints its result.

A command's module is imported when it is called: PyTorch alone takes seconds, and `aceg --help`
needs none of it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from aceg_ros import __version__
from aceg_ros.errors import AcegError
from aceg_ros.interrupts import ending_quietly

# Each is a module beside this one, with `add_arguments` and `run`.
COMMANDS = {
    'check': 'Check posed images before mapping them.',
    'map': 'Fit a map to posed images.',
    'merge': 'Join two maps of one place, or of places in one frame.',
    'align': 'Bring a map into another frame, such as that of a grid, or upright.',
    'drop': 'Take one session out of a map of several.',
    'localize': 'Print the pose of each image in a map.',
    'evaluate': 'Localize images whose poses are known, and print the errors.',
    'info': 'Describe a map: its contents and its rating.',
    'coverage': 'Tell from where, and in which directions, a map finds a camera.',
    'export': 'Write the colored points of a map as PLY.',
    'benchmark': 'Compare methods on the same images.',
    'light-benchmark': 'Compare methods in worlds mapped by day and queried by night.',
    'rig-benchmark': 'Compare poses of a rig with those of each of its cameras.',
    'building-benchmark': 'Map a generated building of many rooms in parts, and find views of it.',
    'traps': 'Count wrong poses of deceptive images, and draw the worst.',
    'consistency': 'Compare errors of poses with their covariances, and filter them.',
    'train-encoder': 'Train an encoder.',
    'train-confidence': 'Train the model that estimates how likely a pose is right.',
    'pretrain': 'Pre-train blocks of the regressor on many scenes.',
    'options': 'Print all options as YAML, for --config.',
    'demo': 'Record, map and localize over ROS 2, in a procedural world or with a dataset.',
    'play': 'Publish a dataset over ROS 2, as a camera.',
    'import-regressor': 'Import weights of the published ACE-G.',
    'import-map': 'Import a map of the published ACE-G.',
    'export-map': 'Export a map for the published ACE-G.',
    'check-models': 'Check that the networks load and fit together.',
}
INTERRUPTED = 130  # what shells report for Ctrl-C
STOPPED = 'aceg: stopped; nothing is left half-written'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 after an error it names, 2 for wrong arguments."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    called = next((word for word in given if not word.startswith('-')), '')
    parser = argparse.ArgumentParser(
        prog='aceg', description='Camera relocalization from one image, in a map of the place.'
    )
    parser.add_argument('--version', action='version', version=f'aceg {__version__}')
    subparsers = parser.add_subparsers(required=True, metavar='COMMAND')
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if name == called:
            with ending_quietly(INTERRUPTED, STOPPED):
                command = import_module(f'aceg_ros.cli.{name.replace("-", "_")}')
            command.add_arguments(subparser)
            subparser.set_defaults(run=command.run)
    parsed = parser.parse_args(given)
    try:
        status: int = parsed.run(parsed)
        sys.stdout.flush()
        return status
    except AcegError as error:
        print(f'aceg: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has seen enough; the rest goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
