"""Arguments and output that several commands share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from aceg_ros.config import Config
from aceg_ros.datasets import Dataset, images_only, open_dataset, read_camera, rosbag
from aceg_ros.datasets.bag_poses import PoseChoice
from aceg_ros.datasets.bag_topics import BagTopics
from aceg_ros.datasets.base import Frame
from aceg_ros.datasets.conventions import Convention, parse_conventions, reread_dataset
from aceg_ros.datasets.rig import RigDataset, read_rig
from aceg_ros.datasets.rig import recognize as recognize_rig
from aceg_ros.engine import Networks
from aceg_ros.errors import AcegError, CameraError, DatasetError
from aceg_ros.files import write_atomically
from aceg_ros.options import configured_by_file, configured_by_text

STANDARD_OUTPUT = Path('-')
FIRST_TEST_WORLD = 900_000  # procedural worlds from here on are for testing


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which frames of a dataset to take."""
    parser.add_argument('--split', help="a split or sequence of the dataset, such as 'test'")
    parser.add_argument('--start', type=int, help='first frame to take, counted in the split')
    parser.add_argument('--stop', type=int, help='frame to stop before, counted in the split')
    parser.add_argument('--every', type=int, default=1, help='take every n-th frame')
    parser.add_argument(
        '--pose-convention',
        default='',
        metavar='NAME',
        help='how poses are written, if not as in TUM files; several with commas between: '
        f'{", ".join(Convention)} (docs/datasets.md)',
    )
    add_camera(parser)
    bag = add_bag_images(parser)
    bag.add_argument('--pose-topic', default='', help='topic of stamped poses or odometry')
    bag.add_argument('--pose-frame', default='', help='frame whose pose that topic gives')
    bag.add_argument('--map-frame', default='', help='take poses from TF, relative to this frame')


def add_bag_images(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Which images of a bag to take; gives the group, for more."""
    bag = parser.add_argument_group('rosbags', 'needed only if a bag has several candidates')
    bag.add_argument('--image-topic', default='', help='topic of images')
    bag.add_argument('--camera-info-topic', default='', help='topic of the camera info')
    bag.add_argument('--depth-topic', default='', help='topic of depth images (map: with --depth)')
    return bag


def add_camera(parser: argparse.ArgumentParser) -> None:
    """What to take images for, beyond what their dataset says."""
    parser.add_argument(
        '--camera',
        type=Path,
        metavar='FILE',
        help="calibration file to use instead of the dataset's; FILE#cam1 chooses one of several",
    )
    parser.add_argument(
        '--exif', action='store_true', help='turn images upright by their EXIF orientation'
    )


def add_depth(parser: argparse.ArgumentParser) -> None:
    """Whether poses are held against depth images."""
    parser.add_argument(
        '--depth',
        action='store_true',
        help='refuse poses that contradict the depth images, such as those of a picture of the '
        'place; images without depth are localized as ever',
    )


def warn_without_depth(frames: Sequence[Frame]) -> None:
    """Say so where `add_depth` was given and no frame has depth."""
    if not any(frame.load_depth for frame in frames):
        print(f'aceg: --depth: none of {len(frames)} images has depth', file=sys.stderr)


def refuse_depth(arguments: argparse.Namespace) -> None:
    """Raise AcegError where `add_depth` was given for a rig, whose depth is not read."""
    if arguments.depth:
        raise AcegError('--depth is of one camera: give its dataset in place of the file of a rig')


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where to compute."""
    parser.add_argument(
        '--device', default='auto', help="device: 'auto' (the default), 'cpu' or 'cuda'"
    )


def add_networks(parser: argparse.ArgumentParser) -> None:
    """Which encoder and regressor to take."""
    group = parser.add_argument_group('networks', 'by default those of the map, or those shipped')
    group.add_argument(
        '--encoder',
        default='',
        help="encoder: 'wide', 'wide-int8', 'compact', 'dinov2', another size such as "
        'dinov2-small, or a folder',
    )
    group.add_argument(
        '--regressor',
        default='',
        help="regressor: 'anchored', or the file or name of one that was imported or trained",
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """How to change any other option."""
    group = parser.add_argument_group('options', '"aceg options" lists them all')
    group.add_argument('--config', type=Path, help='YAML file of options')
    group.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help='change one option, as in localization.gate.min_inliers=40; can be repeated',
    )


def configuration(arguments: argparse.Namespace) -> Config:
    """Defaults, changed by what `add_options` declared."""
    config = Config()
    if arguments.config:
        config = configured_by_file(config, arguments.config)
    return configured_by_text(config, arguments.set)


def networks(arguments: argparse.Namespace) -> Networks:
    """What `add_networks` declared."""
    return Networks(arguments.encoder, arguments.regressor)


def selected(arguments: argparse.Namespace, path: Path) -> Dataset:
    """The dataset at ``path``, cut down as the arguments say.

    Its notes, and what it left out, are printed.
    """
    if recognize_rig(path):
        rig = rig_at(path, arguments)
        if arguments.pose_convention and rig.poses is not None:
            raise DatasetError(
                f'{path}: its "poses" are combined with how the cameras are mounted, and read as '
                'TUM files are: write them so, without --pose-convention'
            )
        dataset = rig.posed()
    else:
        camera = None if arguments.camera is None else read_camera(arguments.camera)
        dataset = open_dataset(path, _topics(arguments), camera, arguments.exif)
    dataset = dataset.select(arguments.split, arguments.start, arguments.stop, arguments.every)
    warn_notes(dataset.notes)
    warn_skipped(dataset.skipped)
    return reread_dataset(dataset, parse_conventions(arguments.pose_convention))


def images_at(
    path: Path, arguments: argparse.Namespace, camera_file: Path | None = None
) -> Dataset:
    """The images of a dataset, which need no poses; else those of a plain folder.

    ``camera_file`` is that of their calibration, by default the one of `add_camera`.
    """
    camera_file = camera_file or arguments.camera
    camera = None if camera_file is None else read_camera(camera_file)
    topics = replace(_topics(arguments), need_poses=False)
    try:
        return open_dataset(path, topics, camera, arguments.exif)
    except DatasetError as error:
        if rosbag.recognize(path):
            raise
        try:
            return images_only(path, camera, arguments.exif)
        except DatasetError as other:
            raise (error if camera is None else other) from None


def _topics(arguments: argparse.Namespace) -> BagTopics:
    """What `add_bag_images` and, where it was called, `add_selection` declared."""
    poses = PoseChoice(
        *(getattr(arguments, name, '') for name in ('pose_topic', 'pose_frame', 'map_frame'))
    )
    depth = arguments.depth_topic or ('' if getattr(arguments, 'depth', False) else None)
    return BagTopics(arguments.image_topic, arguments.camera_info_topic, poses, depth)


def rig_at(path: Path, arguments: argparse.Namespace) -> RigDataset:
    """The recordings that a rig's file names; raises CameraError where --camera is given too."""
    if arguments.camera is not None:
        raise CameraError(
            f'{path} is of several cameras: name the calibration of each there, without --camera'
        )
    return read_rig(path, lambda images, file: images_at(images, arguments, file))


def warn_notes(notes: list[str]) -> None:
    """Say what was taken for granted."""
    for note in notes:
        print(f'aceg: {note}', file=sys.stderr)


def warn_skipped(skipped: list[str]) -> None:
    """Name frames that were left out."""
    for line in skipped:
        print(f'aceg: left out {line}', file=sys.stderr)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Where figures go, for programs."""
    parser.add_argument(
        '--json',
        type=Path,
        metavar='FILE',
        help='JSON file for the figures; - prints them instead of the text',
    )


def print_figures(path: Path | None, values: dict[str, Any], lines: Iterable[str]) -> None:
    """Print `lines`, which people read; or `values` as JSON, if `path` is '-'.

    Any other `path` is written. Raises AcegError when that fails.
    """
    if path == STANDARD_OUTPUT:
        print(json.dumps(values, indent=2))
        return
    write_json(path, values)
    print('\n'.join(lines))


def add_places(parser: argparse.ArgumentParser) -> None:
    """Declare recordings and procedural worlds to map, and a folder for what is found there."""
    parser.add_argument('datasets', type=Path, nargs='*', help='recordings with poses')
    parser.add_argument(
        '-o', '--output', type=Path, required=True, help='folder for figures and pictures'
    )
    parser.add_argument('--worlds', type=int, default=0, help='number of procedural worlds to add')
    parser.add_argument(
        '--first', type=int, default=FIRST_TEST_WORLD, help='seed of the first procedural world'
    )
    parser.add_argument('--budget', type=float, default=30.0, help='seconds to map a place')


def output_folder(arguments: argparse.Namespace) -> Path:
    """The folder of `add_places`, made; raises DatasetError when there is no place to map."""
    if not arguments.datasets and not arguments.worlds:
        raise DatasetError('there is no place to map; name a dataset, or give --worlds')
    folder: Path = arguments.output
    make_output(folder)
    return folder


def make_output(folder: Path) -> None:
    """Make a folder for what a command writes; raises AcegError when that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AcegError(f'{folder} cannot be made: {error}') from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises AcegError where the block cannot write what goes to ``path``."""
    try:
        yield
    except OSError as error:
        raise AcegError(f'{path} cannot be written: {error}') from error


def write_json(path: Path | None, values: dict[str, Any]) -> None:
    """Write ``values`` where the user asked for it; raises AcegError when that fails."""
    if path is None:
        return
    with writing(path):
        write_atomically(path, (json.dumps(values, indent=2) + '\n').encode())


class ProgressBar:
    """A bar on standard error, where that is a terminal, for functions that take a `Progress`."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._stage = ''

    def __call__(self, stage: str, fraction: float, detail: str) -> None:
        if self._bar is None or stage != self._stage:
            self.close()
            layout = '{desc:>12} {percentage:3.0f}% |{bar:30}| {elapsed} {postfix}'
            self._bar = tqdm(
                total=1.0,
                desc=stage,
                bar_format=layout,
                file=sys.stderr,
                mininterval=0.2,
                disable=None,
            )
            self._stage = stage
        self._bar.set_postfix_str(detail, refresh=False)
        self._bar.update(max(fraction, self._bar.n) - self._bar.n)

    def close(self) -> None:
        """Finish the present bar."""
        if self._bar is not None:
            self._bar.update(1.0 - self._bar.n)
            self._bar.close()
            self._bar = None
