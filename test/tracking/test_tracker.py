"""States, and what is published in which."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from tracks import COVARIANCE, MAP_FROM_ODOM, at, fix

from aceg_ros.tracking.gate import Fix, GateOptions
from aceg_ros.tracking.tracker import Arrival, State, Tracker


@pytest.fixture
def tracker() -> Tracker:
    """One with a map and an image at 100 s."""
    tracker = Tracker(lost_after=1.0)
    tracker.map_loaded('kitchen.aceg is loaded')
    tracker.image(100.0)
    return tracker


def found(tracker: Tracker, shown: Fix) -> bool:
    """An image comes and is localized."""
    tracker.image(shown.stamp)
    verdict = tracker.fix(shown, tracker.epoch, 'found')
    assert verdict is not None
    return verdict.accepted


class TestStates:
    def test_from_nothing_to_localized(self):
        tracker = Tracker()
        assert tracker.state is State.WAITING_FOR_MAP
        tracker.map_loaded('kitchen.aceg is loaded')
        assert tracker.state is State.WAITING_FOR_IMAGES
        tracker.image(1.0)
        assert tracker.state is State.SEARCHING
        tracker.no_fix(1.0, tracker.epoch, 'only 5 of 800 patches agree')
        assert tracker.state is State.SEARCHING
        assert tracker.status[1] == 'no fix yet: only 5 of 800 patches agree'
        assert found(tracker, fix(1.1, at(0.0)))
        assert tracker.status == (State.LOCALIZED, 'found')

    def test_images_before_the_map(self):
        tracker = Tracker()
        tracker.image(1.0)
        assert tracker.state is State.WAITING_FOR_MAP
        tracker.map_loaded('loaded')
        assert tracker.state is State.SEARCHING

    def test_lost_after_a_while_without_fix_and_back(self, tracker):
        found(tracker, fix(100.1, at(0.0)))
        tracker.no_fix(101.0, tracker.epoch, 'blurred')
        assert tracker.state is State.LOCALIZED
        tracker.no_fix(101.2, tracker.epoch, 'blurred')
        assert tracker.state is State.LOST
        assert tracker.status[1] == 'no fix for 1.1 s: blurred'
        found(tracker, fix(101.3, at(0.1)))
        assert tracker.state is State.LOCALIZED

    def test_refused_fixes_make_it_lost_too(self, tracker):
        tracker.configure(GateOptions(jump_fixes=100), lost_after=1.0)
        found(tracker, fix(100.1, at(0.0)))
        for i in range(12):
            assert not found(tracker, fix(100.2 + 0.1 * i, at(50.0)))
        assert tracker.state is State.LOST
        assert 'jump of 50.00 m' in tracker.status[1]

    def test_camera_that_stops(self, tracker):
        found(tracker, fix(100.1, at(0.0), at(0.0)))
        tracker.no_images('no image for 1.2 s')
        assert tracker.state is State.WAITING_FOR_IMAGES
        assert tracker.status[1] == 'no image for 1.2 s'
        tracker.image(105.0)
        assert tracker.state is State.LOST
        assert tracker.map_from_odom is None
        found(tracker, fix(105.1, at(0.0), at(0.0)))
        assert tracker.state is State.LOCALIZED

    def test_camera_that_stops_before_any_fix(self, tracker):
        tracker.no_images('no image')
        tracker.image(101.0)
        assert tracker.state is State.SEARCHING

    def test_losing_the_map(self, tracker):
        found(tracker, fix(100.1, at(0.0)))
        tracker.map_missing('no map is loaded')
        assert tracker.state is State.WAITING_FOR_MAP
        tracker.no_images('no image')
        tracker.forget('the clock jumped')
        assert tracker.status[1] == 'no map is loaded'

    def test_another_map_starts_anew(self, tracker):
        found(tracker, fix(100.1, at(0.0)))
        tracker.map_loaded('office.aceg is loaded')
        assert tracker.state is State.SEARCHING
        assert found(tracker, fix(100.2, at(70.0)))


class TestTime:
    def test_image_that_is_not_newer_is_not_used(self, tracker):
        assert tracker.image(100.0) is Arrival.OLD
        assert tracker.image(99.9) is Arrival.OLD
        assert tracker.image(100.1) is Arrival.NEW

    def test_jump_back_forgets_everything(self, tracker):
        found(tracker, fix(130.0, at(0.0), at(0.0)))
        epoch = tracker.epoch
        assert tracker.image(100.0) is Arrival.JUMPED_BACK
        assert tracker.epoch != epoch
        assert tracker.state is State.SEARCHING
        assert tracker.map_from_odom is None
        assert 'jumped back by 30.0 s' in tracker.status[1]
        assert found(tracker, fix(100.1, at(90.0)))

    def test_images_may_start_anew_after_the_clock_did(self, tracker):
        tracker.forget('the clock jumped back')
        assert tracker.image(5.0) is Arrival.NEW


class TestEpoch:
    @pytest.mark.parametrize(
        'event',
        [
            lambda tracker: tracker.forget('asked to'),
            lambda tracker: tracker.map_loaded('office.aceg is loaded'),
            lambda tracker: tracker.map_missing('no map'),
            lambda tracker: tracker.expect(at(9.0), COVARIANCE),
            lambda tracker: tracker.image(10.0),
        ],
        ids=['forget', 'map', 'no map', 'hint', 'time'],
    )
    def test_work_begun_before_is_ignored(self, tracker, event):
        epoch = tracker.epoch
        event(tracker)
        status = tracker.status
        assert tracker.fix(fix(100.1, at(0.0)), epoch, 'found') is None
        tracker.no_fix(100.1, epoch, 'blurred')
        assert tracker.status == status

    def test_outcome_after_the_camera_stopped_is_believed_but_no_news(self, tracker):
        epoch = tracker.epoch
        tracker.no_images('no image')
        assert tracker.fix(fix(100.1, at(0.0), at(0.0)), epoch, 'found').accepted
        tracker.no_fix(100.1, epoch, 'blurred')
        assert tracker.status == (State.WAITING_FOR_IMAGES, 'no image')
        tracker.image(105.0)
        assert tracker.state is State.LOST
        assert tracker.map_from_odom is None
        assert not found(tracker, fix(105.1, at(90.0)))


class TestOdometry:
    def test_nothing_before_the_first_fix(self, tracker):
        assert tracker.map_from_odom is None

    def test_composed_at_the_stamp_and_kept_while_localized(self, tracker):
        odom = at(3.0, 1.0, 70.0)
        found(tracker, fix(100.1, MAP_FROM_ODOM @ odom, odom))
        np.testing.assert_allclose(tracker.map_from_odom[1], MAP_FROM_ODOM, atol=1e-12)
        tracker.no_fix(100.5, tracker.epoch, 'blurred', at(3.4, 1.0, 70.0))
        np.testing.assert_allclose(tracker.map_from_odom[1], MAP_FROM_ODOM, atol=1e-12)
        tracker.no_fix(101.5, tracker.epoch, 'blurred', at(4.0, 1.0, 70.0))
        assert tracker.map_from_odom is None

    def test_a_fix_without_odometry_leaves_it(self, tracker):
        found(tracker, fix(100.1, MAP_FROM_ODOM, at(0.0)))
        found(tracker, fix(100.2, MAP_FROM_ODOM))
        np.testing.assert_allclose(tracker.map_from_odom[1], MAP_FROM_ODOM, atol=1e-12)

    def test_a_jump_without_odometry_takes_it_back(self, tracker):
        found(tracker, fix(100.1, MAP_FROM_ODOM, at(0.0)))
        for stamp in (100.2, 100.3):
            assert not found(tracker, fix(stamp, MAP_FROM_ODOM @ at(9.0)))
            assert tracker.map_from_odom is not None
        assert found(tracker, fix(100.4, MAP_FROM_ODOM @ at(9.0)))
        assert tracker.map_from_odom is None

    def test_prediction_follows_it(self, tracker):
        found(tracker, fix(100.1, MAP_FROM_ODOM @ at(1.0), at(1.0)))
        expected = MAP_FROM_ODOM @ at(2.0, 3.0, 10.0)
        np.testing.assert_allclose(tracker.predicted(at(2.0, 3.0, 10.0)), expected, atol=1e-12)


class TestSeveralMaps:
    def test_another_map_is_believed_after_some_images(self, tracker):
        odom = at(3.0)
        found(tracker, fix(100.1, MAP_FROM_ODOM @ odom, odom, 'ground'))
        assert tracker.map_id == 'ground'
        # Where the numbers alone would follow the motion.
        for stamp in (100.2, 100.3):
            assert not found(tracker, fix(stamp, MAP_FROM_ODOM @ odom, odom, 'first'))
            assert tracker.map_id == tracker.map_from_odom[0] == 'ground'
        assert 'it is in the map first, the last fix in ground; 2 of 3' in tracker.status[1]
        assert found(tracker, fix(100.4, MAP_FROM_ODOM @ odom, odom, 'first'))
        name, map_from_odom = tracker.map_from_odom
        assert (tracker.map_id, name) == ('first', 'first')
        np.testing.assert_allclose(map_from_odom, MAP_FROM_ODOM, atol=1e-12)
        assert not found(tracker, fix(100.5, MAP_FROM_ODOM @ odom, odom, 'ground'))

    def test_no_flapping(self, tracker):
        """Single answers of another map change nothing, however often they come."""
        for step in range(12):
            answers = 'first' if step % 3 else 'ground'
            accepted = found(tracker, fix(100.1 + 0.1 * step, at(0.0), None, answers))
            assert accepted == (answers == 'ground')
            assert tracker.map_id == 'ground'

    def test_another_place_of_another_map_each_time(self, tracker):
        found(tracker, fix(100.1, at(0.0), None, 'ground'))
        for step in range(9):
            assert not found(tracker, fix(100.2 + 0.1 * step, at(20.0 * step), None, 'first'))

    def test_odometry_in_the_map_before_does_not_stay(self, tracker):
        tracker.configure(GateOptions(jump_fixes=1), lost_after=1.0)
        found(tracker, fix(100.1, at(0.0), at(0.0), 'ground'))
        found(tracker, fix(100.2, at(0.0), None, 'first'))
        assert tracker.state is State.LOCALIZED
        assert tracker.map_from_odom is None

    def test_a_starting_pose_is_in_a_map(self, tracker):
        tracker.expect(at(1.0), COVARIANCE, 'first')
        assert tracker.map_id == 'first'
        tracker.no_fix(100.1, tracker.epoch, 'blurred')
        assert not found(tracker, fix(100.2, at(1.0), None, 'ground'))
        assert 'it is in the map ground, the given pose' in tracker.status[1]
        assert found(tracker, fix(100.3, at(1.0), None, 'first'))

    def test_maps_that_come_and_go_beside_it(self, tracker):
        found(tracker, fix(100.1, at(0.0), None, 'ground'))
        epoch = tracker.epoch
        tracker.map_loaded('attic.aceg is loaded', kept=['ground'])
        assert tracker.state is State.LOCALIZED
        # Work that began before may be in a map that went.
        assert tracker.fix(fix(100.2, at(0.0), None, 'ground'), epoch, 'found') is None
        tracker.map_loaded('attic.aceg is loaded', kept=['attic'])
        assert (tracker.state, tracker.map_id) == (State.SEARCHING, '')


def test_hint_is_where_the_search_starts(tracker):
    found(tracker, fix(100.1, at(0.0), at(0.0)))
    tracker.expect(at(30.0), np.diag([0.3] * 6) ** 2)
    assert tracker.state is State.SEARCHING
    assert tracker.map_from_odom is None
    np.testing.assert_array_equal(tracker.predicted(None), at(30.0))
    assert not found(tracker, fix(100.2, at(0.0)))
    assert found(tracker, fix(100.3, at(30.2)))


def test_several_threads_at_once(tracker):
    """States that do not go together must never be seen, whoever asks."""
    wrong: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            if tracker.map_from_odom is None and tracker.status[1] == 'always':
                wrong.append('no transform in spite of a fix')

    def disturb() -> None:
        while not done.is_set():
            tracker.no_fix(100.2, tracker.epoch - 1, 'never')

    tracker.image(100.1)
    tracker.fix(fix(100.1, at(0.0), at(0.0)), tracker.epoch, 'always')
    threads = [threading.Thread(target=work) for work in (look, disturb)]
    for thread in threads:
        thread.start()
    for i in range(300):
        tracker.image(100.2 + 0.01 * i)
        tracker.fix(fix(100.2 + 0.01 * i, at(0.0), at(0.0)), tracker.epoch, 'always')
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert tracker.status[1] == 'always'
