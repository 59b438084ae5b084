"""Say what the memory of a localizer is made of, step by step.

    python tools/localizer_memory.py MAP.aceg DATASET --encoder wide

`All` is the resident memory (VmRSS), `own` the part that no file backs.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

STEPS = ('numpy', 'cv2', 'scipy.spatial', 'scipy.linalg', 'torch', 'onnxruntime')
QUERIES = 20


def say(step: str) -> None:
    """Print a row of the table."""
    lines = (line.split() for line in Path('/proc/self/status').read_text().splitlines())
    kilobytes = {words[0]: int(words[1]) for words in lines if words[0] in ('VmRSS:', 'RssAnon:')}
    print(f'| {step} | {kilobytes["VmRSS:"] / 1024:.0f} | {kilobytes["RssAnon:"] / 1024:.0f} |')


def main() -> None:
    """Load one thing after another, then localize."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('map', type=Path)
    parser.add_argument('dataset', type=Path)
    parser.add_argument('--encoder', default='wide')
    arguments = parser.parse_args()
    print('| after | all MB | own MB |\n| --- | --- | --- |')
    for name in STEPS:
        if name == 'onnxruntime' and not arguments.encoder.endswith('int8'):
            continue
        importlib.import_module(name)
        say(f'`import {name}`')
    from aceg_ros.datasets.detect import open_dataset
    from aceg_ros.engine import Engine, Networks
    from aceg_ros.localization.localizer import Localizer
    from aceg_ros.maps.file import read_map

    frames = open_dataset(arguments.dataset).frames
    say('the rest of the package, and a list of images')
    code = read_map(arguments.map)
    localizer = Localizer(code, Engine.load('cpu', Networks(encoder=arguments.encoder)))
    say('map and networks')
    for index in range(QUERIES):
        frame = frames[index * len(frames) // QUERIES]
        localizer.localize(frame.image(), frame.camera)
        if index == 0:
            say('one query')
    say(f'{QUERIES} queries')


if __name__ == '__main__':
    main()
