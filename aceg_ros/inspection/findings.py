"""What of an inspection is worth a word, each with its remedy, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from aceg_ros.inspection.consensus import Consensus
from aceg_ros.inspection.looks import Look
from aceg_ros.inspection.readings import misread_message
from aceg_ros.inspection.summary import Inspection, Summary
from aceg_ros.inspection.views import Views

_MIN_FRAMES = 5  # fewer make no map
_SHARP = 0.45  # least sharpness of a keyframe, as the mapper node's
_CLIPPED = 0.35  # part of the pixels that may be black or white
_MANY = 0.2  # part of the frames of which more is bad
_MIN_PARALLAX_DEG = 0.4
_MIN_AGREEMENT = 0.6
_FAR, _NEAR = 300.0, 0.05  # distances to the scene that are unlikely in meters
_FAST = 50.0  # meters a second that nobody walks, drives or flies indoors
_NAMED = 4


# What may be wrong with an image, in what part of the images it may be, in words, and the remedy.
_LOOKS: tuple[tuple[Callable[[Look], bool], float, str, str], ...] = (
    (
        lambda look: look.blank,
        0.0,
        'show next to nothing',
        'they cannot be mapped, leave them out',
    ),
    (
        lambda look: look.sharpness < _SHARP and not look.blank,
        _MANY,
        'are blurred',
        'move more slowly, or record with more light and a shorter exposure',
    ),
    (
        lambda look: look.dark > _CLIPPED and not look.blank,
        _MANY,
        'are too dark',
        'record with more light or a longer exposure',
    ),
    (
        lambda look: look.bright > _CLIPPED and not look.blank,
        _MANY,
        'are overexposed',
        'record with a shorter exposure',
    ),
)


class Severity(str, Enum):
    """How bad a finding is."""

    WARNING = 'warning'  # a map can be made, but not as good as it could be
    FAULT = 'fault'  # a map cannot be made, or would be wrong


class Verdict(str, Enum):
    """Of all findings together."""

    GOOD = 'good'  # nothing found
    FAIR = 'fair'  # warnings only
    POOR = 'poor'  # at least one fault


@dataclass(frozen=True)
class Finding:
    """What was found, and what to do about it."""

    severity: Severity
    text: str


def find(inspection: Inspection) -> list[Finding]:
    """All findings, faults first."""
    summary, views = inspection.summary, inspection.views
    of_poses = _of_poses(summary, len(views.frames))
    # Single frames say nothing where all poses are wrong.
    findings = [
        *(of_poses or of_tracking(views, inspection.consensus)),
        *of_images(views),
        *_of_motion(summary),
        *_of_times(summary),
    ]
    return sorted(findings, key=lambda finding: finding.severity is Severity.WARNING)


def verdict(findings: Sequence[Finding]) -> Verdict:
    """The worst of the findings."""
    if any(finding.severity is Severity.FAULT for finding in findings):
        return Verdict.POOR
    return Verdict.FAIR if findings else Verdict.GOOD


def of_images(views: Views) -> list[Finding]:
    """Blank, blurred, dark and overexposed images, where there are many."""
    findings = []
    for is_so, allowed, what, remedy in _LOOKS:
        found = [
            frame.name for frame, look in zip(views.frames, views.looks, strict=True) if is_so(look)
        ]
        if len(found) > allowed * len(views.frames):
            text = f'{len(found)} of {len(views.frames)} images {what} ({named(found)}): {remedy}'
            findings.append(Finding(Severity.WARNING, text))
    return findings


def of_tracking(views: Views, consensus: Consensus) -> list[Finding]:
    """Frames where tracking was lost, and jumps."""
    findings = []
    if consensus.lost:
        names = named([views.frames[index].name for index in consensus.lost])
        most = len(consensus.lost) > len(views.frames) / 2
        findings.append(
            Finding(
                Severity.FAULT if most else Severity.WARNING,
                f'the poses of {len(consensus.lost)} of {len(views.frames)} frames disagree with '
                f'all images that see the same ({names}): tracking was lost there; mapping leaves '
                'them out',
            )
        )
    return findings + of_jumps(views, consensus)


def of_jumps(views: Views, consensus: Consensus) -> list[Finding]:
    """Where what was recorded before and after does not fit together."""
    return [
        Finding(
            Severity.WARNING,
            f'the poses jump between {views.frames[a].name} and {views.frames[b].name}: what was '
            'recorded before and after does not fit together; map one part only (--start, --stop)',
        )
        for a, b in consensus.jumps[:_NAMED]
    ]


def named(names: Sequence[str]) -> str:
    """The first few names."""
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    return ', '.join(names[:_NAMED]) + more


def _of_poses(summary: Summary, usable: int) -> list[Finding]:
    if usable < _MIN_FRAMES:
        return [
            Finding(
                Severity.FAULT,
                f'{usable} of {summary.frames} frames have a readable image and a pose, but a map '
                f'needs at least {_MIN_FRAMES}',
            )
        ]
    if summary.agreement is None:
        return [
            Finding(
                Severity.FAULT,
                'no two neighboring images show the same: record the place in one slow sweep, in '
                'smaller steps and with more texture in view',
            )
        ]
    if summary.misreading is not None:
        return [Finding(Severity.FAULT, misread_message(summary.agreement, summary.misreading))]
    if summary.agreement < _MIN_AGREEMENT:
        return [
            Finding(
                Severity.FAULT,
                f'only {100 * summary.agreement:.0f} % of what neighboring images show agrees with '
                'the poses, in any convention: check that the times of poses and images agree, '
                'and that the calibration is right',
            )
        ]
    return []


def _of_motion(summary: Summary) -> list[Finding]:
    findings = []
    if summary.parallax_deg is not None and summary.parallax_deg < _MIN_PARALLAX_DEG:
        findings.append(
            Finding(
                Severity.FAULT,
                f'the camera hardly moved sideways: the parallax is {summary.parallax_deg:.2f} '
                'degrees. Move it by a tenth of the distance to what it sees, or more',
            )
        )
    far = summary.distance is not None and summary.distance > _FAR
    if far or (summary.speed is not None and summary.speed > _FAST):
        findings.append(
            Finding(
                Severity.WARNING,
                f'the unit may not be the meter: {motion(summary)}. If positions are in '
                'millimeters or centimeters, give --pose-convention millimeters or centimeters',
            )
        )
    elif summary.distance is not None and summary.distance < _NEAR:
        findings.append(
            Finding(
                Severity.WARNING,
                f'the unit may not be the meter: {motion(summary)}. Scale the poses if a robot is '
                'to use the map',
            )
        )
    return findings


def motion(summary: Summary) -> str:
    """How far and how fast, in words; units as given."""
    words = [f'a path of {summary.path_length:.3g}']
    if summary.speed is not None:
        words.append(f'{summary.speed:.3g} a second')
    if summary.distance is not None:
        words.append(f'{summary.distance:.3g} away from what is seen')
    return ', '.join(words)


def _of_times(summary: Summary) -> list[Finding]:
    if not summary.gaps:
        return []
    longest = max(summary.gaps, key=lambda gap: gap.seconds)
    return [
        Finding(
            Severity.WARNING,
            f'{len(summary.gaps)} gaps in time, the longest of {longest.seconds:.1f} s between '
            f'{longest.before} and {longest.after}: images or poses are missing there',
        )
    ]
