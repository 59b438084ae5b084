"""Lets `python -m aceg_ros` do what the command `aceg` does."""

import sys

from aceg_ros.cli.main import main

if __name__ == '__main__':
    sys.exit(main())
