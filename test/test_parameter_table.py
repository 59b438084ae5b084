"""Parameters of a table: which values they take, and what they say of others."""

from __future__ import annotations

from math import inf, nan

import pytest

from aceg_ros.errors import AcegError
from aceg_ros.ros.parameter_table import Group, Parameter, ParameterError, parameters_of

FLAG = Parameter('flag', False, '')
COUNT = Parameter('count', 60, '', unit='points', minimum=6, maximum=10_000)
SPEED = Parameter('speed', 2.0, '', unit='m/s', minimum=0.0)
SHARE = Parameter('share', 0.5, '', maximum=1.0)
FREE = Parameter('free', 1.0, '')
MODE = Parameter('mode', 'a', '', choices=('a', 'b'))
LABEL = Parameter(
    'label', '', '', check=lambda text: 'has an x: leave it out' if 'x' in text else None
)
PLACES = Parameter('places', '', '', list_too=True)


@pytest.mark.parametrize(
    ('parameter', 'limits'),
    [
        (FLAG, ''),
        (COUNT, 'from 6 to 10000 points'),
        (SPEED, 'from 0 m/s'),
        (SHARE, 'to 1'),
        (FREE, ''),
        (MODE, 'one of a, b'),
        (LABEL, ''),
    ],
    ids=lambda case: getattr(case, 'name', None),
)
def test_limits(parameter, limits):
    assert parameter.limits == limits


@pytest.mark.parametrize(
    ('parameter', 'value', 'taken'),
    [
        (FLAG, True, True),
        (COUNT, 6, 6),
        (COUNT, 10_000, 10_000),
        (SPEED, 0.0, 0.0),
        (SPEED, 3, 3.0),
        (MODE, 'b', 'b'),
        (LABEL, 'any', 'any'),
    ],
)
def test_values_taken(parameter, value, taken):
    validated = parameter.validated(value)
    assert validated == taken
    assert type(validated) is type(parameter.default)


@pytest.mark.parametrize(
    ('parameter', 'value', 'words'),
    [
        (FLAG, 1, '1 is of type int: give true or false'),
        (COUNT, 5, '5 points is out of range: give a whole number from 6 to 10000 points'),
        (COUNT, 7.0, '7.0 is of type float: give a whole number from 6 to 10000 points'),
        (COUNT, True, 'True is of type bool: give a whole number from 6 to 10000 points'),
        (SPEED, -1, '-1 m/s is out of range: give a number from 0 m/s'),
        (SPEED, inf, 'inf is not finite: give a number from 0 m/s'),
        (FREE, nan, 'nan is not finite: give a number'),
        (MODE, 'c', "'c' is unknown: give one of a, b"),
        (MODE, 3, '3 is of type int: give one of a, b'),
        (LABEL, None, 'None is of type NoneType: give text'),
        (LABEL, [1, 2], '[1, 2] is of type list: give text'),
        (LABEL, 'xyz', "'xyz' has an x: leave it out"),
        (PLACES, ['a', 1], "['a', 1] is not of texts: give text, or a list of texts"),
        (PLACES, 1, '1 is of type int: give text, or a list of texts'),
    ],
)
def test_values_refused(parameter, value, words):
    with pytest.raises(ParameterError) as raised:
        parameter.validated(value)
    assert str(raised.value) == f'parameter {parameter.name} = {words}'
    assert isinstance(raised.value, AcegError)


def test_a_text_or_a_list_of_texts():
    assert PLACES.validated('a') == 'a'
    assert PLACES.validated(['a', 'b']) == PLACES.validated(('a', 'b')) == ('a', 'b')
    assert PLACES.validated([]) == ()


def test_parameters_of_groups_keep_their_order():
    groups = (Group('first', (MODE, FLAG)), Group('second', (COUNT,)))
    assert parameters_of(groups) == (MODE, FLAG, COUNT)
