"""The command `aceg`: parses arguments, calls one function, prints its result."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from aceg_ros import __version__
from aceg_ros.cli import (
    benchmark,
    check_models,
    demo,
    evaluate,
    export,
    export_map,
    import_map,
    import_regressor,
    info,
    localize,
    map,
    play,
    pretrain,
    train_encoder,
)
from aceg_ros.errors import AcegError

COMMANDS = (
    map,
    localize,
    evaluate,
    info,
    export,
    benchmark,
    train_encoder,
    pretrain,
    demo,
    play,
    import_regressor,
    import_map,
    export_map,
    check_models,
)
INTERRUPTED = 130  # what shells report for Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 after an error it names, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog='aceg', description='Camera relocalization in a map made minutes ago.'
    )
    parser.add_argument('--version', action='version', version=f'aceg {__version__}')
    subparsers = parser.add_subparsers(required=True, metavar='COMMAND')
    for command in COMMANDS:
        name = command.__name__.rpartition('.')[2].replace('_', '-')
        summary = (command.__doc__ or '').strip()
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    parsed = parser.parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
        sys.stdout.flush()
        return status
    except AcegError as error:
        print(f'aceg: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('aceg: stopped; nothing is left half-written', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has seen enough; the rest goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
