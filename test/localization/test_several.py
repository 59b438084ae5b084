"""Several maps at once: which of them answers, and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from aceg_ros.encoder.descriptor import global_descriptor
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.poses import inverse, make_pose, so3_exp
from aceg_ros.geometry.rigs import Rig
from aceg_ros.lab.worlds import record
from aceg_ros.landmarks.landmarks import Landmarks
from aceg_ros.localization.localizer import Localizer
from aceg_ros.localization.options import SeveralOptions
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
from aceg_ros.localization.several import MapSet
from aceg_ros.maps.file import write_map

IMAGE = np.zeros((4, 4, 3), np.uint8)
FEATURES = F.normalize(torch.randn(50, 8, generator=torch.Generator().manual_seed(0)), dim=1)
UNLIKE = F.normalize(torch.randn(50, 8, generator=torch.Generator().manual_seed(1)), dim=1)


def found(confidence, x=0.0):
    pose, points = make_pose(np.eye(3), [x, 0.0, 0.0]), np.ones((3, 3))
    return Localization(
        pose, np.eye(6), points[:, :2], points, np.ones(3), np.ones(3, bool), confidence
    )


def refused(confidence):
    return LocalizationFailure(Reason.UNLIKE_MAP, f'only {confidence}', confidence=confidence)


@dataclass
class Encoded:
    """Stands in for an encoded image."""

    encoding: tuple[str, int]
    patches: SimpleNamespace
    seconds: float = 0.25


class Floor:
    """Stands in for a localizer: answers what it is told, and counts."""

    def __init__(self, encoding='wide', alike=None, place=''):
        """With a keyframe of this cosine with the image, or without descriptors."""
        self.encoding = (encoding, 1000)
        descriptors = np.zeros((2, 0), np.float32)
        if alike is not None:
            query, other = global_descriptor(FEATURES), global_descriptor(UNLIKE)
            apart = F.normalize(other - (other @ query) * query, dim=0)
            alikes = torch.tensor([[alike], [0.2]])
            descriptors = (alikes * query + (1 - alikes**2).sqrt() * apart).numpy()
        self.code = SimpleNamespace(descriptors=descriptors, info=SimpleNamespace(place=place))
        self.answer = refused(0.1)
        self.asked = []
        self.turns = []
        self.encodings = 0

    def encode(self, image, camera, depth=None):
        self.encodings += 1
        return Encoded(self.encoding, SimpleNamespace(features=FEATURES))

    def localize_encoded_rig(self, encoded, rig_from_cam, prior=None, turns=None):
        assert all(each.encoding == self.encoding for each in encoded)
        assert len(encoded) == len(rig_from_cam)
        self.asked.append(prior)
        self.turns.append(turns)
        return replace(self.answer, seconds={'encode': 0.25, 'search': 0.5})


@pytest.fixture
def floors():
    return {'ground': Floor(), 'first': Floor(), 'cellar': Floor('compact')}


class TestAsking:
    def test_the_surest_of_all_at_first(self, floors):
        floors['first'].answer, floors['cellar'].answer = found(0.8), found(0.9)
        maps = MapSet(floors)
        assert maps.localize(IMAGE, None).map_name == 'cellar'
        assert maps.last == 'cellar'
        assert [len(floor.asked) for floor in floors.values()] == [1, 1, 1]

    def test_the_last_one_alone_while_it_answers(self, floors):
        floors['first'].answer = found(0.8)
        maps = MapSet(floors)
        for _ in range(4):
            assert maps.localize(IMAGE, None).map_name == 'first'
        floors['ground'].answer = found(0.99)
        assert maps.localize(IMAGE, None).map_name == 'first'
        assert [len(floor.asked) for floor in floors.values()] == [1, 5, 1]

    def test_another_when_it_refuses(self, floors):
        floors['first'].answer = found(0.8)
        maps = MapSet(floors)
        maps.localize(IMAGE, None)
        floors['first'].answer, floors['ground'].answer = refused(0.2), found(0.5)
        assert maps.localize(IMAGE, None).map_name == 'ground'
        assert maps.localize(IMAGE, None).map_name == 'ground'
        assert len(floors['first'].asked) == 2

    def test_a_prior_is_for_the_last_map_only(self, floors):
        floors['first'].answer = found(0.8)
        maps = MapSet(floors)
        maps.localize(IMAGE, None, np.eye(4))
        floors['first'].answer = refused(0.2)
        maps.localize(IMAGE, None, np.eye(4))
        assert [prior is None for prior in floors['first'].asked] == [True, False]
        assert all(prior is None for prior in floors['ground'].asked)

    def test_turned_as_another_map_knows_it(self, floors):
        floors['ground'].answer = replace(found(0.8), turns=(1,))
        MapSet(floors).localize(IMAGE, None)
        assert [floor.turns for floor in floors.values()] == [[None], [(1,)], [(1,)]]

    def test_an_image_is_encoded_once_for_each_encoder(self, floors):
        MapSet(floors).localize(IMAGE, None)
        assert [floor.encodings for floor in floors.values()] == [1, 0, 1]

    def test_the_time_is_that_of_all_that_were_asked(self, floors):
        """The cellar's encoder is another one; the two floors share theirs."""
        floors['first'].answer = found(0.8)
        maps = MapSet(floors)
        assert maps.localize(IMAGE, None).seconds == {'encode': 0.5, 'search': 1.5}
        assert maps.localize(IMAGE, None).seconds == {'encode': 0.25, 'search': 0.5}

    def test_each_image_of_a_rig_is_encoded_once_for_each_encoder(self, floors):
        rig = Rig((None, None, None), np.stack([np.eye(4)] * 3))
        MapSet(floors).localize_rig([IMAGE, None, IMAGE], rig)
        assert [floor.encodings for floor in floors.values()] == [2, 0, 2]

    def test_first_the_map_that_is_named(self, floors):
        for floor in floors.values():
            floor.answer = found(0.8)
        maps = MapSet(floors)
        assert maps.localize(IMAGE, None, np.eye(4), first='cellar').map_name == 'cellar'
        assert [len(floor.asked) for floor in floors.values()] == [0, 0, 1]
        assert floors['cellar'].asked[0] is not None

    @pytest.mark.parametrize('first', ['', 'a floor that was removed'])
    def test_all_where_none_is_preferred(self, floors, first):
        floors['first'].answer = found(0.8)
        maps = MapSet(floors)
        maps.localize(IMAGE, None)
        maps.localize(IMAGE, None, first=first)
        assert [len(floor.asked) for floor in floors.values()] == [2, 2, 2]

    def test_answers_without_a_confidence(self, floors):
        floors['first'].answer = found(np.nan)
        assert MapSet(floors).localize(IMAGE, None).map_name == 'first'


@pytest.fixture
def parts():
    """Six parts of one place, the first most like the image, the last least."""
    return {
        f'part-{number}': Floor(alike=0.9 - 0.05 * number, place='building') for number in range(6)
    }


def asked(parts):
    return [name for name, part in parts.items() if part.asked]


class TestParts:
    def test_only_the_likeliest_are_asked(self, parts):
        parts['part-1'].answer = found(0.8)
        assert MapSet(parts).localize(IMAGE, None).map_name == 'part-1'
        assert asked(parts) == ['part-0', 'part-1', 'part-2']

    def test_as_many_as_the_options_say(self, parts):
        MapSet(parts, SeveralOptions(asked=2)).localize(IMAGE, None)
        assert asked(parts) == ['part-0', 'part-1']

    def test_a_refusal_by_the_last_one_does_not_have_all_asked(self, parts):
        parts['part-5'].answer = found(0.8)
        maps = MapSet(parts)
        maps.localize(IMAGE, None, first='part-5')
        parts['part-5'].answer = refused(0.1)
        for part in parts.values():
            part.asked.clear()
        maps.localize(IMAGE, None)
        assert asked(parts) == ['part-0', 'part-1', 'part-2', 'part-5']

    def test_maps_without_descriptors_are_asked_besides(self, parts):
        parts['old'] = Floor()
        MapSet(parts).localize(IMAGE, None)
        assert asked(parts) == ['part-0', 'part-1', 'part-2', 'old']

    def test_so_are_those_with_images_that_have_none(self, parts):
        """The image may show what they saw."""
        parts['grown'] = Floor(alike=0.3)
        parts['grown'].code.descriptors[1] = 0
        MapSet(parts).localize(IMAGE, None)
        assert asked(parts) == ['part-0', 'part-1', 'part-2', 'grown']

    def test_a_map_without_descriptors_can_be_the_likeliest(self, parts):
        parts['old'] = Floor()
        parts['part-0'].answer, parts['old'].answer = found(0.8), found(0.9)
        assert MapSet(parts).localize(IMAGE, None).map_name == 'old'

    def test_two_different_poses_of_a_place_are_none(self, parts):
        parts['part-0'].answer, parts['part-1'].answer = found(0.9), found(0.8, x=5.0)
        maps = MapSet(parts)
        answer = maps.localize(IMAGE, None)
        assert not answer
        assert answer.reason is Reason.AMBIGUOUS
        assert answer.message == 'part-0 and part-1 both show it, at different places'
        assert maps.last == ''

    @pytest.mark.parametrize('confidence', [1.0, np.nan])
    def test_nor_where_both_are_sure(self, parts, confidence):
        parts['part-0'].answer, parts['part-1'].answer = found(confidence), found(confidence, x=5.0)
        assert MapSet(parts).localize(IMAGE, None).reason is Reason.AMBIGUOUS

    def test_a_pose_that_is_far_likelier_than_another_is_given(self, parts):
        parts['part-0'].answer, parts['part-1'].answer = found(0.999), found(0.5, x=5.0)
        assert MapSet(parts).localize(IMAGE, None).map_name == 'part-0'

    def test_a_part_more_like_the_image_counts_for_more(self, parts):
        """Odds of 24 to 3, and a cosine greater by 0.1 for the other one."""
        parts['part-0'].answer, parts['part-2'].answer = found(0.75), found(0.96, x=5.0)
        assert MapSet(parts).localize(IMAGE, None).reason is Reason.AMBIGUOUS
        parts['part-2'].answer = found(0.96)
        assert MapSet(parts).localize(IMAGE, None).map_name == 'part-0'

    def test_poses_in_two_places_cannot_be_compared(self, parts):
        parts['part-0'].answer = found(0.9)
        parts['part-1'].code.info.place = 'another'
        parts['part-1'].answer = found(0.8, x=5.0)
        assert MapSet(parts).localize(IMAGE, None).map_name == 'part-0'

    def test_no_part_is_asked_whose_answer_would_change_nothing(self):
        """However sure, a part 0.2 less like the image could not speak against the first."""
        parts = {name: Floor(alike=alike, place='hall') for name, alike in (('a', 0.9), ('b', 0.7))}
        parts |= {f'far-{number}': Floor(alike=0.5, place='hall') for number in range(3)}
        parts['a'].answer = found(0.999)
        maps = MapSet(parts)
        maps.localize(IMAGE, None)
        assert asked(parts) == ['a']
        parts['a'].answer = found(0.5)
        maps.localize(IMAGE, None)
        assert asked(parts) == ['a', 'b']

    def test_an_answer_of_the_last_one_is_held_against_others(self, parts):
        parts['part-1'].answer = found(0.8)
        parts['part-0'].answer = found(0.9, x=5.0)
        assert MapSet(parts).localize(IMAGE, None, first='part-1').reason is Reason.AMBIGUOUS
        assert asked(parts) == ['part-0', 'part-1', 'part-2']

    def test_who_knows_where_it_is_needs_no_other_part(self, parts):
        parts['part-1'].answer = found(0.8)
        parts['part-0'].answer = found(0.9, x=5.0)
        answer = MapSet(parts).localize(IMAGE, None, np.eye(4), first='part-1')
        assert answer.map_name == 'part-1'
        assert asked(parts) == ['part-1']

    def test_a_place_stands_for_its_last_part(self, parts):
        parts['part-1'].answer = found(0.8)
        maps = MapSet(parts)
        maps.localize(IMAGE, None)
        maps.localize(IMAGE, None, np.eye(4), first='building')
        assert [prior is None for prior in parts['part-1'].asked] == [True, False]

    def test_an_answer_elsewhere_does_not_make_a_place_forgotten(self, parts):
        parts['part-1'].answer = found(0.8)
        maps = MapSet(parts | {'hall': Floor(alike=0.95)})
        maps.localize(IMAGE, None)
        parts['part-1'].answer, maps.localizers['hall'].answer = refused(0.1), found(0.8)
        assert maps.localize(IMAGE, None).map_name == 'hall'
        parts['part-1'].answer = found(0.8)
        parts['part-1'].asked.clear()
        assert maps.localize(IMAGE, None, np.eye(4), first='building').map_name == 'part-1'
        assert len(parts['part-1'].asked) == 1

    def test_images_of_their_own(self, parts):
        parts['part-1'].answer = found(0.8)
        maps = MapSet(parts, remember=False)
        maps.localize(IMAGE, None)
        assert maps.last == ''

    def test_ranked(self, parts):
        assert MapSet(parts).ranked(IMAGE, None) == list(parts)


class TestRefusing:
    def test_with_the_words_of_the_nearest(self, floors):
        floors['cellar'].answer = refused(0.25)
        maps = MapSet(floors)
        answer = maps.localize(IMAGE, None)
        assert not answer
        assert answer.message == 'none of 3 maps; nearest, cellar: only 0.25'
        assert maps.last == ''

    def test_one_map_alone(self, floors):
        answer = MapSet({'ground': floors['ground']}).localize(IMAGE, None)
        assert answer.message == 'only 0.1'

    def test_the_last_map_stays_the_first_to_be_asked(self, floors):
        floors['first'].answer = found(0.8)
        maps = MapSet(floors)
        maps.localize(IMAGE, None)
        floors['first'].answer = refused(0.2)
        maps.localize(IMAGE, None)
        assert maps.last == 'first'

    def test_no_maps(self):
        with pytest.raises(MapCodeError, match='no map is given'):
            MapSet({})


class TestFiles:
    def test_two_of_one_name(self, tmp_path, mapped):
        for folder in ('a', 'b'):
            write_map(tmp_path / folder / 'hall.aceg', mapped.code)
        with pytest.raises(MapCodeError, match='two of the maps are called hall'):
            MapSet.open([tmp_path / 'a', tmp_path / 'b'], 'cpu')

    def test_a_damaged_one(self, tmp_path):
        (tmp_path / 'hall.aceg').write_bytes(b'nothing')
        with pytest.raises(MapCodeError, match=r'hall\.aceg is not an \.aceg map'):
            MapSet.open([tmp_path], 'cpu')


def test_the_room_that_the_image_shows_answers(mapped, engine, queries):
    """Of two maps made by the same networks, one of them of no place there is."""
    order = np.random.default_rng(0).permutation(len(mapped.code.anchors))
    nowhere = replace(mapped.code, anchors=mapped.code.anchors[order], landmarks=Landmarks.none())
    maps = MapSet({'nowhere': Localizer(nowhere, engine), 'room': Localizer(mapped.code, engine)})
    alone = Localizer(mapped.code, engine).localize(queries[2].image(), queries[2].camera)
    answer = maps.localize(queries[2].image(), queries[2].camera)
    assert answer.map_name == 'room'
    np.testing.assert_allclose(answer.world_from_cam, alone.world_from_cam, atol=1e-9)
    assert answer.seconds['encode'] > 0


def test_a_rig_in_several_maps(mapped, engine, queries, room, room_camera):
    """The second of three cameras has no image."""
    mounts = np.stack(
        [make_pose(so3_exp([0.0, turn, 0.0]), [turn, 0.0, 0.1]) for turn in (0, 1, 0.5)]
    )
    world_from_rig = queries[3].world_from_cam @ inverse(mounts[0])
    seen = record(room, room_camera, world_from_rig @ mounts[[0, 2]], supersample=1).frames
    order = np.random.default_rng(0).permutation(len(mapped.code.anchors))
    nowhere = replace(mapped.code, anchors=mapped.code.anchors[order], landmarks=Landmarks.none())
    maps = MapSet({'nowhere': Localizer(nowhere, engine), 'room': Localizer(mapped.code, engine)})
    rig = Rig((room_camera,) * 3, mounts)
    answer = maps.localize_rig([seen[0].image(), None, seen[1].image()], rig)
    assert answer.map_name == 'room'
    assert np.abs(answer.world_from_cam - world_from_rig).max() < 0.03
    assert set(answer.cameras[answer.inliers]) == {0, 2}
