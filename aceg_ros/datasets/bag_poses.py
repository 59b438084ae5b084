"""The camera's poses in a bag: from a topic, or from TF."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aceg_ros.datasets.bag_file import POSE_TYPES, TF_TYPES, TRANSFORM_TYPES, BagFile
from aceg_ros.datasets.trajectory import Trajectory
from aceg_ros.errors import DatasetError, PoseError, TransformError
from aceg_ros.geometry.poses import compose, pose_from_tum
from aceg_ros.geometry.transform_tree import TransformTree

# Robots publish poses less often than motion capture does, but change their speed less, too.
MAX_GAP = 0.25

PoseAt = Callable[[float], NDArray[np.float64]]


@dataclass(frozen=True)
class PoseChoice:
    """Where poses come from; empty: chosen from the bag, where that is unambiguous."""

    topic: str = ''
    frame: str = ''  # whose poses the topic has; empty: as its messages say, else the camera
    map_frame: str = ''  # poses from TF, in this frame

    def __post_init__(self) -> None:
        """Cut the slash that ROS 1 put before the names of frames."""
        object.__setattr__(self, 'frame', self.frame.lstrip('/'))
        object.__setattr__(self, 'map_frame', self.map_frame.lstrip('/'))


def camera_poses(
    bag: BagFile, choice: PoseChoice, camera_frame: str, images: str, by_receipt: bool = False
) -> PoseAt:
    """Function from a stamp (s) to the pose (4, 4) of `camera_frame` in the map.

    `images` is the topic of the images, by whose namespace TF is that of the same robot.
    Stamps are those in the headers or, `by_receipt`, the times when the recorder received the
    messages, which also stand in where no pose has a stamp. The function raises PoseError or
    TransformError for stamps without pose. Raises DatasetError when the bag has no poses, or more
    than one source of them to choose from.
    """
    if choice.topic and choice.map_frame:
        raise DatasetError(
            f'poses can come from the topic {choice.topic} or from TF in {choice.map_frame}, not '
            'from both; name one'
        )
    tf = _read_tf(bag, images, by_receipt)
    topics = bag.topics(POSE_TYPES) or bag.topics(TRANSFORM_TYPES)
    if choice.topic:
        topics |= bag.topics(TRANSFORM_TYPES)
    if choice.topic and choice.topic not in topics:
        choices = _choices(topics, tf, camera_frame)
        raise DatasetError(f'{bag.path}: there are no poses on {choice.topic}; {choices}')
    root = tf.moving_root(camera_frame)
    if choice.map_frame or (not choice.topic and not topics and root):
        return _from_tf(tf, choice.map_frame or root, camera_frame, bag.path)
    if not choice.topic and (len(topics) != 1 or root):
        raise DatasetError(f'{bag.path}: {_choices(topics, tf, camera_frame)}')
    topic = choice.topic or next(iter(topics))
    return _from_topic(bag, tf, choice, topic, camera_frame, by_receipt)


def frame_in_frame(
    bag: BagFile, target: str, source: str, images: str, stamp: float
) -> NDArray[np.float64]:
    """target_from_source (4, 4) of two frames of TF at `stamp` (s); raises TransformError.

    `images` as for `camera_poses`.
    """
    return _read_tf(bag, images, False).tree(target, source).lookup(target, source, stamp)


class _Tf:
    """What /tf and /tf_static say, as numbers until it is known what is needed."""

    def __init__(self) -> None:
        self.parents: dict[str, str] = {}
        self._others: dict[str, str] = {}  # former parents of frames that have another one now
        # Each transform as a stamp and seven numbers in a row; hours of them have to fit.
        self._moving: dict[str, array[float]] = {}
        self._static: dict[str, list[float]] = {}

    def add(self, message: Any, static: bool, received: float | None = None) -> None:
        """Take a message's transforms, at the time `received` (s) or else at their own stamps."""
        for transform in message.transforms:
            child = transform.child_frame_id.lstrip('/')
            parent = transform.header.frame_id.lstrip('/')
            if self.parents.setdefault(child, parent) != parent:
                self._others[child] = self.parents[child]
                self.parents[child] = parent
            shift, turn = transform.transform.translation, transform.transform.rotation
            numbers = [shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w]
            if static:
                self._static[child] = numbers
            else:
                stamp = to_seconds(transform.header.stamp) if received is None else received
                self._moving.setdefault(child, array('d')).extend((stamp, *numbers))

    def chain(self, frame: str) -> list[str]:
        """`frame` and all above it."""
        chain = [frame]
        while chain[-1] in self.parents and self.parents[chain[-1]] not in chain:
            chain.append(self.parents[chain[-1]])
        return chain

    def moving_root(self, frame: str) -> str:
        """The frame at the top, where something moves between it and `frame`; else empty."""
        chain = self.chain(frame)
        return chain[-1] if any(child in self._moving for child in chain) else ''

    def tree(self, target: str, source: str) -> TransformTree:
        """The transforms between two frames; those that are no rigid transforms are left out.

        Raises DatasetError where one of them has hung on two frames.
        """
        tree = TransformTree(max_gap=MAX_GAP)
        chains = self.chain(target), self.chain(source)
        above_both = set(chains[0]) & set(chains[1])
        for child in (child for chain in chains for child in chain if child not in above_both):
            if child in self._others:
                raise DatasetError(
                    f'TF has {child} in {self._others[child]} and in {self.parents[child]}, which '
                    'are two maps, two robots, or two senders that disagree: cut the bag to one of '
                    'them, or take poses from a topic (--pose-topic)'
                )
            moving = np.array(self._moving.get(child, ())).reshape(-1, 8)
            for row in moving:
                stamp, *numbers = row.tolist()
                _add(tree, self.parents[child], child, numbers, stamp)
            if child in self._static:
                _add(tree, self.parents[child], child, self._static[child], None)
        return tree


def to_seconds(stamp: Any) -> float:
    """Seconds of a builtin_interfaces/Time."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def _add(
    tree: TransformTree, parent: str, child: str, numbers: list[float], stamp: float | None
) -> None:
    try:
        tree.add(parent, child, pose_from_tum(numbers), stamp)
    except PoseError:
        return  # as tf2 does; what then is missing is named for each image


def _read_tf(bag: BagFile, images: str, by_receipt: bool) -> _Tf:
    tf = _Tf()
    for topic in _tf_topics(bag, images):
        for logged, message in bag.timed_messages(topic):
            received = logged * 1e-9 if by_receipt else None
            tf.add(message, topic.endswith('tf_static'), received)
    return tf


def _tf_topics(bag: BagFile, images: str) -> list[str]:
    """Topics of TF that are of the robot which took the images.

    Those of other robots, in namespaces that the images are not in, have frames of the same names.
    """
    topics = list(bag.topics(TF_TYPES))
    own = [topic for topic in topics if images.startswith(f'{_namespace(topic)}/')]
    if not own and len({_namespace(topic) for topic in topics}) > 1:
        raise DatasetError(
            f'{bag.path}: TF of which robot is it? There is {", ".join(topics)}, and the images on '
            f'{images} are of none of them: record one robot, or put its topics into its namespace'
        )
    return own or topics


def _namespace(topic: str) -> str:
    return topic.rpartition('/')[0]


def _from_tf(tf: _Tf, map_frame: str, camera_frame: str, path: Path) -> PoseAt:
    tree = tf.tree(map_frame, camera_frame)
    missing = {map_frame, camera_frame} - set(tree.frames)
    if missing:
        known = ', '.join(sorted({*tf.parents, *tf.parents.values()})) or 'none'
        raise DatasetError(
            f'{path}: TF has no frame {" and no frame ".join(sorted(missing))}; it has: {known}'
        )
    return lambda stamp: tree.lookup(map_frame, camera_frame, stamp)


def _from_topic(
    bag: BagFile, tf: _Tf, choice: PoseChoice, topic: str, camera_frame: str, by_receipt: bool
) -> PoseAt:
    stamps, received, numbers, frame = [], [], [], choice.frame
    for logged, message in bag.timed_messages(topic):
        stamps.append(to_seconds(message.header.stamp))
        received.append(logged * 1e-9)
        at, turn = _place(message)
        numbers.append([at.x, at.y, at.z, turn.x, turn.y, turn.z, turn.w])
        frame = frame or getattr(message, 'child_frame_id', '').lstrip('/')
    if not stamps:
        bag.first(topic)  # says what is wrong with the bag
    if by_receipt or not any(stamps):
        stamps = received
    trajectory = Trajectory(stamps, numbers)
    if frame in ('', camera_frame):
        return lambda stamp: trajectory.at(stamp, MAX_GAP)
    tree = tf.tree(frame, camera_frame)

    def at_stamp(stamp: float) -> NDArray[np.float64]:
        return compose(trajectory.at(stamp, MAX_GAP), tree.lookup(frame, camera_frame, stamp))

    try:
        tree.lookup(frame, camera_frame, float(np.median(trajectory.stamps)))
    except TransformError as error:
        raise DatasetError(
            f'{bag.path}: {topic} has poses of {frame}, and how the camera, {camera_frame}, lies '
            f'in it is not known ({error}). Record /tf_static too. Or, if the poses are those of '
            f'the camera itself, say so: --pose-frame {camera_frame}'
        ) from error
    return at_stamp


def _place(message: Any) -> tuple[Any, Any]:
    """Position and rotation in a message of any of the types that bring a pose."""
    if hasattr(message, 'transform'):
        return message.transform.translation, message.transform.rotation
    # PoseStamped has a pose, the others a pose with covariance.
    pose = getattr(message.pose, 'pose', message.pose)
    return pose.position, pose.orientation


def _choices(topics: dict[str, str], tf: _Tf, camera_frame: str) -> str:
    """What there is to choose from, in words."""
    found = [f'--pose-topic {topic} ({kind})' for topic, kind in topics.items()]
    root = tf.moving_root(camera_frame)
    if root:
        found.append(f'--map-frame {root} (TF: {" < ".join(reversed(tf.chain(camera_frame)))})')
    if not found:
        return (
            f'there are no poses: no topic of {", ".join(POSE_TYPES)}, and no TF to the camera '
            f'({camera_frame or "images name no frame"}); record one of them'
        )
    return "where are the camera's poses? Name one of: " + '; '.join(found)
