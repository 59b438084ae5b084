"""Recordings survive the end of the mapper, and of the time they were made in."""

from __future__ import annotations

import time

from builtin_interfaces.msg import Time
from harness import LATCHED
from mapper_robot import Robot, recorded
from rosgraph_msgs.msg import Clock
from visualization_msgs.msg import MarkerArray


def test_killed_while_recording_and_started_again(start_mapper, ros):
    mapper = start_mapper()
    robot = Robot(ros)
    mapper.switch('record', True)
    robot.drive(mapper.folder, [10.0, 11.0, 12.0])
    mapper.process.kill()
    assert recorded(mapper.folder) == [10.0, 11.0, 12.0]

    # What a crash in the middle of writing leaves.
    with (mapper.folder / 'poses.txt').open('a') as index:
        index.write('13.000000 0.3 0.1 1.0 0.0 0.0')
    (mapper.folder / 'images' / '.13.000000.jpg.x.part').write_bytes(b'half an image')
    # DDS takes a while to notice that the node of this name is gone.
    again = start_mapper(mapper.folder, 'again')
    again.process.wait_for_output('has 3 keyframes; it will be continued')
    again.process.wait_for_output('the last line, torn off, is removed')
    again.process.wait_for_output('half-written, is removed')
    again.switch('record', True)
    robot.drive(mapper.folder, [14.0, 15.0], first=4)
    assert recorded(mapper.folder) == [10.0, 11.0, 12.0, 14.0, 15.0]
    assert again.process.stop() == 0


def test_recording_that_cannot_be_continued(ros, start_mapper, tmp_path):
    folder = tmp_path / 'r'
    folder.mkdir()
    (folder / 'poses.txt').write_text(
        '# aceg_ros recording: timestamp tx ty tz qx qy qz qw (world_from_cam)\n'
    )
    process = ros.start('aceg_ros.ros.mapper', parameters={'recording': folder})
    assert process.wait() == 1
    assert 'calibration.yaml: cannot be read' in process.output
    assert 'Traceback' not in process.output


def test_parameters_that_cannot_be_used(ros):
    for name, value, reason in (
        ('recording', "''", 'give a path'),
        ('pose_source', 'gps', 'give one of tf, topic'),
        ('budget', -1.0, 'parameter budget: give a number from 1 to 86400 s'),
    ):
        process = ros.start('aceg_ros.ros.mapper', parameters={name: value})
        assert process.wait() == 1
        assert reason in process.output


def test_simulated_clock_set_back(start_mapper, ros):
    """As `ros2 bag play --clock --loop` does, and forward; nothing is lost, recording goes on."""
    mapper = start_mapper(use_sim_time=True)
    robot = Robot(ros)
    clock = ros.publisher(Clock, '/clock', 10)
    mapper.switch('record', True)
    for seconds in (100, 101, 9000, 50, 51):
        # Any of them may get lost.
        for _ in range(5):
            clock.publish(Clock(clock=Time(sec=seconds)))
            time.sleep(0.02)
        robot.drive(mapper.folder, [float(seconds)], first=seconds)
    mapper.process.wait_for_output('the clock jumped back by 8950.0 s')
    assert recorded(mapper.folder) == [50.0, 51.0, 100.0, 101.0, 9000.0]
    # rviz resets itself then, and has forgotten what was latched.
    scene = ros.collect(MarkerArray, f'{mapper.name}/keyframes', LATCHED)
    for _ in range(5):
        clock.publish(Clock(clock=Time(sec=10)))
        time.sleep(0.02)
    again = scene.wait_for(lambda message: message.markers[0].header.stamp.sec == 10)
    assert again.markers[0].points
    assert mapper.process.stop() == 0
