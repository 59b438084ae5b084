"""Check posed images before mapping them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from aceg_ros.cli.common import (
    ProgressBar,
    add_json,
    add_selection,
    print_figures,
    selected,
    writing,
)
from aceg_ros.datasets import rosbag
from aceg_ros.datasets.detect import LAYOUTS
from aceg_ros.evaluation.figures import draw_inspection
from aceg_ros.inspection.findings import Finding, Verdict, find, motion, named, verdict
from aceg_ros.inspection.summary import Inspection, Lens, Summary, inspect_dataset
from aceg_ros.monitor import Monitor

_MOST = 400  # frames looked at, evenly chosen, as many as are mapped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('dataset', type=Path, help='folder with images and poses, or a rosbag')
    add_selection(parser)
    parser.add_argument(
        '-o', '--output', type=Path, help='PNG file for a drawing of the trajectory'
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what there is to know; the exit status is 1 where no good map can come of it."""
    dataset = selected(arguments, arguments.dataset)
    bar = ProgressBar()
    try:
        inspection = inspect_dataset(dataset, _MOST, Monitor(bar))
    finally:
        bar.close()
    findings = find(inspection)
    layout = layout_of(arguments.dataset)
    if arguments.output is not None and len(inspection.views.frames):
        with writing(arguments.output):
            draw_inspection(arguments.output, inspection)
    values = to_dict(layout, inspection, findings)
    print_figures(arguments.json, values, describe(layout, inspection, findings))
    return 1 if verdict(findings) is Verdict.POOR else 0


def layout_of(path: Path) -> str:
    """Name of the layout that `open_dataset` takes a path for."""
    if rosbag.recognize(path):
        return 'rosbag'
    return next((name for name, layout in LAYOUTS.items() if layout.recognize(path)), 'unknown')


def to_dict(layout: str, inspection: Inspection, findings: Sequence[Finding]) -> dict[str, object]:
    """What is printed, for programs, and the agreement of every frame."""
    views, consensus = inspection.views, inspection.consensus
    lost = set(consensus.lost)
    return {
        'verdict': verdict(findings).value,
        'findings': [{'severity': f.severity.value, 'text': f.text} for f in findings],
        'layout': layout,
        **inspection.summary.to_dict(),
        'looked_at': [
            {
                'name': frame.name,
                'agreement': None if agreement != agreement else round(float(agreement), 3),
                'lost': index in lost,
                'sharpness': round(look.sharpness, 3),
                'brightness': round(look.brightness, 1),
            }
            for index, (frame, look, agreement) in enumerate(
                zip(views.frames, views.looks, consensus.agreement, strict=True)
            )
        ],
    }


def describe(layout: str, inspection: Inspection, findings: Sequence[Finding]) -> list[str]:
    """The inspection in lines for people."""
    summary, views = inspection.summary, inspection.views
    rows = [
        ('layout', layout),
        ('frames', _frames(summary, len(views.frames))),
        *(('camera', _lens(lens)) for lens in summary.lenses[:4]),
        ('time', _time(summary)),
        ('motion', motion(summary)),
        ('parallax', _optional(summary.parallax_deg, '{:.1f} degrees between views')),
        ('agreement', _agreement(inspection)),
    ]
    lines = [f'{name:>10}: {text}' for name, text in rows]
    lines += [f'{finding.severity.value:>10}: {finding.text}' for finding in findings]
    lines.append(f'{"verdict":>10}: {_VERDICTS[verdict(findings)]}')
    return lines


_VERDICTS = {
    Verdict.GOOD: 'good; a map can be made of it',
    Verdict.FAIR: 'fair; a map can be made of it, a better one with the advice above',
    Verdict.POOR: 'poor; see the faults above before mapping',
}


def _frames(summary: Summary, looked_at: int) -> str:
    words = [f'{summary.frames}, {looked_at} of them looked at']
    if summary.without_pose:
        words.append(f'{summary.without_pose} without a pose')
    if summary.left_out:
        words.append(f'{len(summary.left_out)} left out')
    return ', '.join(words)


def _lens(lens: Lens) -> str:
    return (
        f'{lens.width}x{lens.height}, {lens.model}, {lens.horizontal_deg:.0f} x '
        f'{lens.vertical_deg:.0f} degrees, {lens.frames} frames'
    )


def _time(summary: Summary) -> str:
    if summary.seconds is None:
        return 'none; in the order of names'
    rate = (summary.frames - 1) / summary.seconds if summary.seconds else 0.0
    gaps = ', '.join(f'{gap.seconds:.1f} s after {gap.before}' for gap in summary.gaps[:3])
    return f'{summary.seconds:.1f} s, {rate:.1f} images a second; gaps: {gaps or "none"}'


def _agreement(inspection: Inspection) -> str:
    if inspection.summary.agreement is None:
        return 'unknown: no two images show the same'
    lost = [inspection.views.frames[index].name for index in inspection.consensus.lost]
    words = f'{100 * inspection.summary.agreement:.0f} % of what views share agrees with the poses'
    return f'{words}; frames that disagree: {named(lost) or "none"}'


def _optional(value: float | None, words: str) -> str:
    return 'unknown' if value is None else words.format(value)
