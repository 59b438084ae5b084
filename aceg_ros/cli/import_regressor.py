"""Make the published regressor's weights a file that the other commands and the nodes read."""

from __future__ import annotations

import argparse
from pathlib import Path

from aceg_ros.models import users_folder
from aceg_ros.regressor.ace_g import LICENSE
from aceg_ros.regressor.files import (
    SUFFIX,
    published_metadata,
    read_published_head,
    save_regressor,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('head', type=Path, help='published weights, ace_g_pretrained.pt')
    parser.add_argument(
        '-o', '--output', type=Path, help=f'file, NAME{SUFFIX}; by default in {users_folder()}'
    )


def run(arguments: argparse.Namespace) -> int:
    """Read, check, write, and say under which license the weights are."""
    network = read_published_head(arguments.head)
    output = arguments.output or users_folder() / f'{arguments.head.stem}{SUFFIX}'
    save_regressor(network, output, published_metadata(arguments.head))
    config = network.config
    print(
        f'{output}: {network.identity()}, {config.blocks} blocks of {config.heads} heads, takes '
        f'features of {config.dim_in} and codes of {config.dim} numbers\n{LICENSE}'
    )
    return 0
