"""`aceg demo` over ROS: nodes as processes, two tours of a small room, and what is made of them."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from processes import NodeProcess, gone, wait_until

from aceg_ros.datasets import Dataset, RecordingWriter
from aceg_ros.demo.driver import Detection, Run
from aceg_ros.demo.nodes import NodeEndedError, Nodes
from aceg_ros.demo.outcome import evaluation_of, figures_of
from aceg_ros.demo.run import to_and_fro
from aceg_ros.evaluation.metrics import Evaluation, FrameResult
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason


@pytest.fixture(scope='module')
def dataset(views, tmp_path_factory) -> Path:
    """28 views of a room, 0.2 s apart."""
    writer = RecordingWriter(tmp_path_factory.mktemp('demo') / 'room', views[0].camera)
    for index, view in enumerate(views):
        writer.add(view.image(), view.world_from_cam, 100.05 + 0.2 * index)
    return writer.path


def command(ros, dataset: Path, output: Path, *options: str) -> NodeProcess:
    """The demo in a process of its own, in the domain of the test."""
    arguments = ['demo', '-o', str(output), '--dataset', str(dataset), '--device', 'cpu', *options]
    return ros.start('aceg_ros', *arguments)


def children(pid: int) -> list[int]:
    """Processes that a process has started and that still run."""
    done = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(pid)], capture_output=True, text=True)
    return [int(line) for line in done.stdout.split()]


class TestWhole:
    @pytest.fixture(scope='class')
    def finished(self, ros, dataset, tmp_path_factory):
        """A demo that maps all views and finds every other one, and what it wrote."""
        output = tmp_path_factory.mktemp('output')
        process = command(ros, dataset, output, '--query-every', '2', '--budget', '8')
        process.wait(timeout=240.0)
        assert (output / 'demo.json').is_file(), process.output
        return process, output, json.loads((output / 'demo.json').read_text())

    def test_counts_every_image(self, finished):
        _, _, figures = finished
        images = figures['images']
        assert figures['frames'] == figures['engine']['frames'] == 14
        assert figures['localized'] == images['accepted']
        assert images['accepted'] + images['refused'] + images['failed'] + images['dropped'] == 14
        assert 5 <= figures['keyframes'] <= figures['recorded'] <= 28

    def test_finds_what_the_engine_finds(self, finished):
        process, _, figures = finished
        assert figures['engine']['recall_10cm_5deg'] > 0.5
        lost = (figures['images']['dropped'] + figures['images']['refused']) / 14
        recall = figures['recall_10cm_5deg']
        assert recall >= figures['engine']['recall_10cm_5deg'] - lost - 0.1
        assert process.wait() == (0 if recall >= 0.8 else 1)

    def test_times_and_memory(self, finished):
        _, _, figures = finished
        assert 0.0 < figures['latency_ms_median'] <= figures['latency_ms_p95']
        assert figures['latency_ms_p95'] <= figures['latency_ms_max'] < 10_000.0
        ratio = figures['latency_ms_median'] / figures['engine_ms_median']
        assert figures['latency_ratio'] == pytest.approx(ratio)
        assert 0.0 < figures['oldest_image_ms'] < figures['latency_ms_max']
        assert 50.0 < figures['localizer_mb_end'] < 5000.0

    def test_leaves_map_report_and_logs(self, finished):
        process, output, _ = finished
        assert {path.name for path in output.iterdir()} == {
            'demo.json',
            'localizer.log',
            'map.aceg',
            'mapper.log',
            'recording',
            'report',
        }
        assert (output / 'report' / 'trajectory.png').is_file()
        assert 'over ROS' in process.output
        for node in ('mapper', 'localizer'):
            assert 'Traceback' not in (output / f'{node}.log').read_text()


class TestEnds:
    @pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
    def test_interrupted_while_it_plays(self, ros, dataset, tmp_path, number):
        """Also as a background job, whose SIGINT is ignored when it starts."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        process = command(ros, dataset, tmp_path, '--rate', '1')
        signal.signal(signal.SIGINT, before)
        process.wait_for_output('playing')
        nodes = children(process.pid)
        assert len(nodes) == 2
        assert process.stop(number, within=10.0) == 130
        assert not any(Path(f'/proc/{pid}').exists() for pid in nodes)
        assert 'Traceback' not in process.output

    def test_killed_while_it_plays(self, ros, dataset, tmp_path):
        process = command(ros, dataset, tmp_path, '--rate', '1')
        process.wait_for_output('playing')
        nodes = children(process.pid)
        assert len(nodes) == 2
        process.kill()
        wait_until(lambda: all(map(gone, nodes)), timeout=10.0, what='the end of both nodes')

    def test_a_node_is_killed(self, ros, dataset, tmp_path):
        process = command(ros, dataset, tmp_path, '--rate', '1')
        process.wait_for_output('playing')
        nodes = children(process.pid)
        os.kill(nodes[0], signal.SIGKILL)
        assert process.wait() == 1
        assert 'ended with status -9' in process.output
        assert not any(Path(f'/proc/{pid}').exists() for pid in nodes)

    def test_parameters_are_refused(self, ros, tmp_path, monkeypatch):
        for name, value in ros.environment.items():
            monkeypatch.setenv(name, value)
        nodes = Nodes(tmp_path, budget=-1.0, device='cpu', compressed=False)
        try:
            with pytest.raises(NodeEndedError, match='the mapper ended with status 1') as error:
                wait_until(lambda: nodes.check() is not None, what='the end of the mapper')
        finally:
            nodes.close()
        assert 'budget' in str(error.value)


class TestAttached:
    def test_too_few_keyframes(self, ros, dataset, tmp_path):
        """The executable of the launch file, in a namespace; the mapper refuses."""
        common = {'image_qos': 'reliable', 'device': 'cpu'}
        places = {'recording': tmp_path / 'recording', 'map': tmp_path / 'map.aceg'}
        namespace = {'__ns': '/robot'}
        mapper = common | places | {'pose_source': 'topic'}
        ros.start('aceg_ros.ros.mapper', parameters=mapper, remap=namespace)
        ros.start('aceg_ros.ros.localizer', parameters=common, remap=namespace)
        arguments = ['-o', str(tmp_path / 'out'), '--dataset', str(dataset), '--map-every', '10']
        arguments += ['--no-compressed', '--rate', '2']
        process = ros.start('aceg_ros.demo', *arguments, remap=namespace)
        assert process.wait() == 1
        assert 'playing room: 3 frames at 2 Hz on /robot/image' in process.output
        assert 'keyframes are recorded, but a map needs at least 5' in process.output

    def test_nobody_there(self, ros, dataset, tmp_path, monkeypatch, capsys):
        from aceg_ros.cli.main import main

        monkeypatch.setattr('aceg_ros.demo.driver._START', 0.5)
        monkeypatch.setenv('ROS_DOMAIN_ID', str(ros.domain))
        status = main(['demo', '--attach', '-o', str(tmp_path), '--dataset', str(dataset)])
        assert status == 1
        assert 'no aceg_mapper is there' in capsys.readouterr().err


class TestToAndFro:
    def test_goes_back_without_a_jump(self, views):
        tour = Dataset('room', views[:4], True)
        long = to_and_fro(tour, 10.0, 1.0 / 60.0)
        order = [views.index(frame) for frame in long.frames]
        assert order == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]


class TestOutcome:
    @pytest.fixture
    def alone(self, queries) -> Evaluation:
        """The engine has found the first two of three images, 1 cm too far to the right."""
        none = np.zeros((0, 3))

        def result(index: int) -> FrameResult:
            frame = queries[index]
            if index == 2:
                missed = LocalizationFailure(Reason.FEW_INLIERS, 'nothing to see')
                return FrameResult(frame, frame.world_from_cam, missed, 0.05, math.inf, math.inf)
            pose = moved(frame.world_from_cam, 0.01)
            found = Localization(pose, np.eye(6), none[:, :2], none, none[:, 0], none[:, 0] > 0)
            return FrameResult(frame, frame.world_from_cam, found, 0.04, 0.01, 0.0)

        return Evaluation([result(index) for index in range(3)], [], 0)

    def test_images_without_a_pose_are_failures(self, alone, queries):
        seen = Detection(moved(queries[0].world_from_cam, 0.02), np.eye(6), 0.06)
        run = Run([(queries[0], seen), (queries[1], None), (queries[0], None), (queries[2], None)])
        run.counts = {'images': 4, 'dropped': 2, 'accepted': 1, 'refused': 0, 'failed': 1}
        run.memory_mb = [100.0] * 10 + [150.0, 151.0]
        evaluation = evaluation_of(run, alone)
        assert [result.localized for result in evaluation.results] == [True, False, False, False]
        figures = figures_of(run, evaluation, alone)
        assert (figures['frames'], figures['localized']) == (4, 1)
        assert figures['recall_5cm_5deg'] == 0.25
        assert figures['recall_10cm_5deg_of_worked'] == 0.5
        assert figures['median_cm'] is None
        assert figures['latency_ms_median'] == figures['latency_ms_max'] == pytest.approx(60.0)
        assert figures['latency_ratio'] == pytest.approx(1.5)
        assert (figures['localizer_mb_begin'], figures['localizer_mb_end']) == (150.0, 151.0)
        assert figures['engine']['localized'] == 2
        assert (figures['images']['published'], figures['images']['received']) == (4, 4)
        json.dumps(figures)

    def test_what_only_ros_found(self, alone, queries):
        seen = Detection(moved(queries[2].world_from_cam, 0.03), np.eye(6), 0.06)
        (result,) = evaluation_of(Run([(queries[2], seen)]), alone).results
        assert result.meters == pytest.approx(0.03)
        assert result.within(5)
        assert not result.within(2)


def moved(world_from_cam: np.ndarray, meters: float) -> np.ndarray:
    """A pose, to the right of another."""
    pose = world_from_cam.copy()
    pose[:3, 3] += meters * pose[:3, 0]
    return pose
