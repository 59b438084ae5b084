"""Folders that show an evaluation."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from fakes import FakeLocalizer, broken_image, moved, numbered_frames
from PIL import Image

from aceg_ros.evaluation.benchmark import BenchmarkRow
from aceg_ros.evaluation.figures import draw_scaling
from aceg_ros.evaluation.metrics import evaluate
from aceg_ros.evaluation.report import choose_results, write_report

PICTURES = ('trajectory.png', 'errors.png', 'images.png')


class Page(HTMLParser):
    """Text and pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.text, self.images = '', []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == 'img':
            self.images.append(dict(attrs)['src'])

    def handle_data(self, data):
        self.text += data


def answers(count, lost=()):
    """An evaluation with growing errors; frames in `lost` are not localized."""
    frames = numbered_frames(count)
    estimates = [
        None if i in lost else moved(frame.world_from_cam, np.full(6, 0.004 * i))
        for i, frame in enumerate(frames)
    ]
    return evaluate(FakeLocalizer(estimates), frames)


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    keyframes = np.array([frame.world_from_cam for frame in numbered_frames(20, seed=4)])
    points3d = rng.normal(size=(500, 3)) * [4.0, 1.0, 3.0]
    return keyframes, points3d, rng.integers(256, size=(500, 3)).astype(np.uint8)


class TestReport:
    def test_pictures_are_written_and_linked(self, tmp_path, scene):
        page = write_report(tmp_path / 'report', answers(12, lost=(3,)), *scene)
        assert set(Page(page.read_text()).images) == set(PICTURES)
        for name in PICTURES:
            with Image.open(page.parent / name) as picture:
                assert picture.width > 800 and len(picture.convert('L').getextrema()) == 2
                assert np.asarray(picture.convert('L')).std() > 5

    def test_page_has_the_figures(self, tmp_path, scene):
        text = Page(write_report(tmp_path, answers(4, lost=(3,)), *scene).read_text()).text
        assert '1 frames failed: no_pose' in text
        assert '75 %' in text
        details = json.loads((tmp_path / 'evaluation.json').read_text())
        assert details['summary']['localized'] == 3
        assert [frame['failure'] for frame in details['frames']] == [None, None, None, 'no_pose']

    def test_names_are_escaped(self, tmp_path, scene):
        frames = numbered_frames(2)
        frames[0] = replace(frames[0], name='<b>&', load_image=broken_image)
        poses = [frame.world_from_cam for frame in frames]
        page = write_report(tmp_path, evaluate(FakeLocalizer(poses), frames), *scene, title='a<b')
        assert '<b>&' not in page.read_text()
        assert 'left out: <b>&: the file is truncated' in Page(page.read_text()).text

    def test_nothing_localized_and_nothing_mapped(self, tmp_path):
        nothing = np.zeros((0, 4, 4)), np.zeros((0, 3)), np.zeros((0, 3), dtype=np.uint8)
        page = write_report(tmp_path, answers(2, lost=(0, 1)), *nothing)
        assert '– cm' in Page(page.read_text()).text  # noqa: RUF001
        assert (tmp_path / 'trajectory.png').stat().st_size > 5000


class TestChooseResults:
    def test_best_and_worst_are_among_them(self):
        evaluation = answers(20, lost=(5,))
        chosen = choose_results(evaluation.results, 6)
        assert chosen[0].frame.name == 'frame-0'
        assert chosen[-1].frame.name == 'frame-5'
        assert len({result.frame.name for result in chosen}) == 6

    def test_few_results_are_all_chosen(self):
        assert len(choose_results(answers(3).results, 9)) == 3


def test_scaling_is_drawn_with_rows_that_failed(tmp_path):
    rows = [
        BenchmarkRow('d', 'a', count, 0.1 * count, 1000, 100.0, {'query_ms_median': 5.0})
        for count in (50, 100)
    ]
    rows.append(BenchmarkRow('d', 'b', 50, error='no parallax'))
    draw_scaling(tmp_path / 'scaling.png', rows)
    with Image.open(tmp_path / 'scaling.png') as picture:
        assert np.asarray(picture.convert('L')).std() > 5
