"""Before a fit: poses in another convention are named, and frames where tracking was lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aceg_ros.datasets.base import Frame
from aceg_ros.errors import FitError
from aceg_ros.inspection.consensus import find_consensus
from aceg_ros.inspection.findings import of_images, of_jumps
from aceg_ros.inspection.readings import find_misreading, misread_message, read_as
from aceg_ros.inspection.views import compare_neighbors
from aceg_ros.monitor import Monitor

_MOST = 0.5  # part of pairs or frames that disagree; with more it is not tracking that is wrong
_ONE_SPOT = 1e-9  # map units
LOST = 'its pose disagrees with all images that see the same; tracking was lost there'


def consistent_frames(
    frames: Sequence[Frame], monitor: Monitor
) -> tuple[list[Frame], list[str], list[str]]:
    """The frames but those whose pose disagrees with all that see the same.

    Also these, as 'name: reason', and notes for people. Frames that cannot be judged stay, and
    those that cannot be read too, for others to name. Raises FitError where most poses disagree,
    and names the convention in which they agree.
    """
    views = compare_neighbors(frames, monitor)
    if not len(views.poses) or np.ptp(views.poses[:, :3, 3], axis=0).max() < _ONE_SPOT:
        return list(frames), [], []  # the sweep says that nothing can be triangulated
    reading = find_misreading(views.wide, views.poses)
    if reading is not None:
        given = read_as(views.wide, views.poses, ()).agreement
        raise FitError(misread_message(given, reading))
    consensus = find_consensus(views.pairs, views.poses)
    if consensus.against > _MOST or len(consensus.lost) > _MOST * len(views.frames):
        raise FitError(
            f'{100 * consensus.against:.0f} % of the pairs of neighboring images disagree with '
            'their poses, in any convention: check that poses and images '
            'belong together, that their clocks agree and that the calibration is right; '
            '"aceg check" shows where'
        )
    lost = {id(views.frames[index]) for index in consensus.lost}
    findings = of_images(views) + of_jumps(views, consensus)
    kept = [frame for frame in frames if id(frame) not in lost]
    left_out = [f'{frame.name}: {LOST}' for frame in frames if id(frame) in lost]
    return kept, left_out, [finding.text for finding in findings]
