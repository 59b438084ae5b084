"""Print every option of mapping and localization as a YAML file."""

from __future__ import annotations

import argparse
import sys

from aceg_ros.cli.common import add_options, configuration
from aceg_ros.config import as_yaml


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the options as they are with the changes asked for."""
    sys.stdout.write(as_yaml(configuration(arguments)))
    return 0
