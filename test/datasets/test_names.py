"""Order of names, and names that another system wrote."""

from __future__ import annotations

from pathlib import Path

from aceg_ros.datasets.names import file_named, natural_key, order_is_unclear, shown


def test_names_are_ordered_as_people_count():
    names = ['frame_10.jpg', 'Frame_2.jpg', 'frame_1.jpg', 'a.jpg', '3.jpg', 'frame_02.jpg']
    assert sorted(names, key=natural_key) == [
        '3.jpg',
        'a.jpg',
        'frame_1.jpg',
        'Frame_2.jpg',
        'frame_02.jpg',
        'frame_10.jpg',
    ]


def test_folders_come_before_what_is_in_them():
    names = ['cam10/1.jpg', 'cam2/10.jpg', 'cam2\\9.jpg']
    assert sorted(names, key=natural_key) == ['cam2\\9.jpg', 'cam2/10.jpg', 'cam10/1.jpg']
    assert natural_key(Path('a/b')) == natural_key('a/b')


def test_names_of_windows(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/b.jpg').touch()
    assert file_named(tmp_path, 'a\\b.jpg') == tmp_path / 'a/b.jpg'
    assert shown('.\\a\\b.jpg') == 'a/b.jpg'
    # On other systems a name may hold one.
    (tmp_path / 'c\\d.jpg').touch()
    assert file_named(tmp_path, 'c\\d.jpg') == tmp_path / 'c\\d.jpg'


def test_paths_from_the_root_of_another_computer(tmp_path):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/1.jpg').touch()
    for name in ('C:\\data\\scene\\images\\1.jpg', '/home/anna/scene/images/1.jpg'):
        assert file_named(tmp_path, name) == tmp_path / 'images/1.jpg'
    assert file_named(tmp_path, 'other/images/1.jpg') == tmp_path / 'other/images/1.jpg'


def test_numbers_with_a_point_may_have_two_orders():
    assert order_is_unclear(['v_0.5', 'v_0.25'])
    assert not order_is_unclear(['v_0.50', 'v_0.25', 'v_1.00'])
    assert not order_is_unclear(['v_9', 'v_10.color', 'v1.2'])
