"""Options: their names, ranges, and the ways to change them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from aceg_ros.config import Config, as_yaml
from aceg_ros.errors import ConfigError
from aceg_ros.localization.options import GateOptions
from aceg_ros.mapping.options import FitOptions
from aceg_ros.options import (
    Knob,
    Options,
    configured,
    configured_by_file,
    configured_by_text,
    knobs,
    option,
)
from aceg_ros.readers.options import FreeOptions


@dataclass(frozen=True)
class Lens(Options):
    """A part."""

    count: int = option(3, 'Pieces of glass.', low=1)
    tints: tuple[float, ...] = option((1.0, 2.5), 'Factors on colors.', low=0.1, high=9)
    mode: str = option('fast', 'How it focuses.', choices=('fast', 'slow'))


@dataclass(frozen=True)
class Telescope(Options):
    """A whole."""

    length: float = option(1.5, 'From end to end.', 'm', low=0, high=10)
    gain: float = option(0.0, 'Of the eyepiece.')
    upright: bool = option(False, 'Whether the image is.')
    lens: Lens = field(default_factory=Lens)


WHOLE = Telescope()


class TestKnobs:
    def test_parts_have_dotted_names(self):
        names = [knob.name for knob in knobs(WHOLE)]
        assert names == ['length', 'gain', 'upright', 'lens.count', 'lens.tints', 'lens.mode']

    def test_say_all_there_is_to_know(self):
        by_name = {knob.name: knob for knob in knobs(WHOLE)}
        assert by_name['length'] == Knob('length', 1.5, 'From end to end.', 'm', 0, 10, ())
        mode = Knob(
            'lens.mode', 'fast', 'How it focuses.', '', -math.inf, math.inf, ('fast', 'slow')
        )
        assert by_name['lens.mode'] == mode

    def test_have_the_values_of_the_instance(self):
        changed = configured(WHOLE, {'lens.count': 7})
        assert {k.name: k.default for k in knobs(changed)}['lens.count'] == 7


class TestByName:
    def test_dotted(self):
        changed = configured(WHOLE, {'length': 2.0, 'lens.count': 5})
        assert changed == Telescope(length=2.0, lens=Lens(count=5))

    def test_nested(self):
        changed = configured(WHOLE, {'lens': {'count': 5, 'mode': 'slow'}, 'upright': True})
        assert changed == Telescope(upright=True, lens=Lens(count=5, mode='slow'))

    def test_the_rest_stays(self):
        start = Telescope(length=3.0, lens=Lens(count=4, mode='slow'))
        changed = configured(start, {'lens.count': 5})
        assert changed == Telescope(length=3.0, lens=Lens(count=5, mode='slow'))
        assert start.lens.count == 4

    def test_nothing_to_change(self):
        assert configured(WHOLE, {}) == WHOLE

    def test_a_whole_number_will_do_for_any(self):
        length = configured(WHOLE, {'length': 2}).length
        assert (length, type(length)) == (2.0, float)

    def test_a_list_will_do_for_a_tuple(self):
        assert configured(WHOLE, {'lens.tints': [1.0, 2.0, 3.0]}).lens.tints == (1.0, 2.0, 3.0)

    @pytest.mark.parametrize(
        ('changes', 'words'),
        [
            ({'lenght': 2.0}, 'there is no option lenght; there are length, gain, upright, lens'),
            ({'lens.cuont': 2}, r'there is no option lens\.cuont; there are count, tints, mode'),
            ({'lens': {'cuont': 2}}, r'there is no option lens\.cuont; there are count'),
            ({'length.unit': 2}, r'there is no option length\.unit: length has no parts'),
            ({'lens': 2}, 'lens holds options of its own; name one of them'),
            ({'': 2}, 'there is no option'),
        ],
    )
    def test_names_that_are_none(self, changes, words):
        with pytest.raises(ConfigError, match=words):
            configured(WHOLE, changes)


class TestRanges:
    @pytest.mark.parametrize(
        ('changes', 'words'),
        [
            ({'length': -0.1}, 'length must be from 0 to 10 m, not -0.1'),
            ({'length': 11}, 'length must be from 0 to 10 m, not 11'),
            ({'length': math.nan}, 'length must be from 0 to 10 m, not nan'),
            ({'lens.count': 0}, r'lens\.count: count must be at least 1, not 0'),
            ({'lens': {'count': 0}}, r'lens\.count: count must be at least 1, not 0'),
            ({'lens.tints': [1.0, 0.0]}, 'tints must be from 0.1 to 9, not 0.0'),
            ({'lens.tints': [1.0, math.inf]}, 'tints must be from 0.1 to 9, not inf'),
            ({'lens.mode': 'idle'}, "mode is one of fast, slow, not 'idle'"),
        ],
    )
    def test_refused(self, changes, words):
        with pytest.raises(ConfigError, match=words):
            configured(WHOLE, changes)

    @pytest.mark.parametrize('value', [0, 10.0])
    def test_bounds_are_allowed(self, value):
        assert configured(WHOLE, {'length': value}).length == value

    @pytest.mark.parametrize('value', [math.inf, -math.inf, math.nan])
    def test_where_there_are_no_bounds_numbers_are_finite(self, value):
        with pytest.raises(ConfigError, match='gain must be'):
            configured(WHOLE, {'gain': value})

    def test_are_those_of_the_constructor_too(self):
        with pytest.raises(ConfigError, match='count must be at least 1, not 0'):
            Lens(count=0)


class TestTypes:
    @pytest.mark.parametrize(
        ('changes', 'words'),
        [
            ({'lens.count': 1.5}, r'count takes a whole number, not 1\.5'),
            ({'lens.count': True}, 'count takes a whole number, not True'),
            ({'lens.count': 'many'}, "count takes a whole number, not 'many'"),
            ({'lens.count': None}, 'count takes a whole number, not None'),
            ({'length': 'long'}, "length takes a number, not 'long'"),
            ({'length': False}, 'length takes a number, not False'),
            ({'length': [1.0]}, r'length takes a number, not \[1\.0\]'),
            ({'upright': 1}, 'upright takes true or false, not 1'),
            ({'lens.mode': 3}, 'mode takes a text, not 3'),
            ({'lens.tints': 1.0}, r'tints takes .*, not 1\.0'),
            ({'lens.tints': ['red']}, "tints takes .*, not .*'red'"),
            ({'lens.tints': [True]}, 'tints takes .*, not .*True'),
            ({'lens.tints': [[1.0]]}, 'tints takes .*, not'),
            ({'lens.tints': []}, 'tints takes .*, not'),
        ],
    )
    def test_refused(self, changes, words):
        with pytest.raises(ConfigError, match=words):
            configured(WHOLE, changes)


class TestByText:
    @pytest.mark.parametrize(
        ('text', 'expected'),
        [
            ('length=2', Telescope(length=2.0)),
            ('length=2.5', Telescope(length=2.5)),
            ('length = 2.5', Telescope(length=2.5)),
            ('length=1e-3', Telescope(length=0.001)),
            ('gain=-2', Telescope(gain=-2.0)),
            ('upright=true', Telescope(upright=True)),
            ('lens.count=5', Telescope(lens=Lens(count=5))),
            ('lens.mode=slow', Telescope(lens=Lens(mode='slow'))),
            ('lens.tints=[1, 2.5, 3]', Telescope(lens=Lens(tints=(1, 2.5, 3)))),
        ],
    )
    def test_values(self, text, expected):
        assert configured_by_text(WHOLE, [text]) == expected

    def test_the_last_counts(self):
        assert configured_by_text(WHOLE, ['length=2', 'length=3']).length == 3.0

    @pytest.mark.parametrize('text', ['length', '', '=3', ' = 3'])
    def test_what_changes_nothing(self, text):
        with pytest.raises(ConfigError, match='changes nothing: write NAME=VALUE, as in'):
            configured_by_text(WHOLE, [text])

    def test_a_value_that_cannot_be_read(self):
        with pytest.raises(ConfigError, match=r"lens\.tints: '\[1, ' cannot be read as a value"):
            configured_by_text(WHOLE, ['lens.tints=[1, '])

    def test_refusals_name_the_option(self):
        with pytest.raises(ConfigError, match=r'lens\.count: count must be at least 1, not 0'):
            configured_by_text(WHOLE, ['lens.count=0'])


class TestByFile:
    def read(self, tmp_path, content: str | bytes) -> Telescope:
        file = tmp_path / 'options.yaml'
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return configured_by_file(WHOLE, file)

    def test_sections_and_dotted_names(self, tmp_path):
        changed = self.read(tmp_path, 'length: 2\nlens:\n  count: 5\nlens.mode: slow\n')
        assert changed == Telescope(length=2.0, lens=Lens(count=5, mode='slow'))

    def test_marked_as_utf8(self, tmp_path):
        assert self.read(tmp_path, b'\xef\xbb\xbflength: 2\n').length == 2.0

    @pytest.mark.parametrize(
        ('content', 'words'),
        [
            ('lens:\n  count: 0\n', r'lens\.count: count must be at least 1, not 0'),
            ('width: 3\n', 'there is no option width'),
            ('3: 4\n', 'there is no option 3'),
            ('lens:\n  3: 4\n', r'there is no option lens\.3'),
            ('- a list\n', 'must hold options by name'),
            ('text', 'must hold options by name'),
            ('a: [', 'is not YAML'),
            (b'\xff\xfe\x00', 'is not YAML'),
        ],
    )
    def test_refused(self, tmp_path, content, words):
        with pytest.raises(ConfigError, match=rf'options\.yaml.*{words}'):
            self.read(tmp_path, content)

    def test_missing(self, tmp_path):
        with pytest.raises(ConfigError, match=r'none\.yaml cannot be read \(No such file'):
            configured_by_file(WHOLE, tmp_path / 'none.yaml')


KNOBS = {knob.name: knob for knob in knobs(Config())}


class TestThoseThereAre:
    def test_of_all_stages(self):
        assert KNOBS['mapping.fit.epochs'].default == FitOptions().epochs
        assert KNOBS['localization.gate.min_inliers'].default == GateOptions().min_inliers
        assert KNOBS['localization.reader.free.factor'].default == FreeOptions().factor

    @pytest.mark.parametrize('name', KNOBS)
    def test_is_explained(self, name):
        assert KNOBS[name].meaning.endswith('.')

    @pytest.mark.parametrize(
        ('name', 'beyond'),
        [(name, knob.low - 1) for name, knob in KNOBS.items() if knob.low > -math.inf]
        + [(name, knob.high + 1) for name, knob in KNOBS.items() if knob.high < math.inf],
    )
    def test_keeps_its_range(self, name, beyond):
        default = KNOBS[name].default
        value = type(default)(beyond) if not isinstance(default, tuple) else (beyond, default[1])
        with pytest.raises(ConfigError, match=f'{name.rpartition(".")[2]} must be'):
            configured(Config(), {name: value})

    def test_the_file_written_is_read(self, tmp_path):
        file = tmp_path / 'options.yaml'
        file.write_text(as_yaml(Config()), encoding='utf-8')
        assert configured_by_file(Config(), file) == Config()

    def test_the_file_written_has_what_was_changed(self, tmp_path):
        changed = configured(Config(), {'mapping.free.schedule.last_rate': 1e-7})
        file = tmp_path / 'options.yaml'
        file.write_text(as_yaml(changed), encoding='utf-8')
        assert configured_by_file(Config(), file) == changed
