"""One vector for a whole image: what it tells apart, and what it does not depend on."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from aceg_ros.encoder.descriptor import SIZE, global_descriptor


def place(seed: int, patches: int = 400, kinds: int = 20, dim: int = 96) -> torch.Tensor:
    """Features (patches, dim) of an image that shows so many kinds of things of its own."""
    generator = torch.Generator().manual_seed(seed)
    things = torch.randn(kinds, dim, generator=generator)
    chosen = torch.randint(kinds, (patches,), generator=generator)
    noise = 0.3 * torch.randn(patches, dim, generator=generator)
    return F.normalize(things[chosen] + noise, dim=1)


def dense(features: torch.Tensor) -> torch.Tensor:
    """The whole matrix, rooted, which the product makes short."""
    matrix = (features.T @ features)[np.triu_indices(features.shape[1])]
    return F.normalize(matrix.sign() * matrix.abs().sqrt(), dim=0)


def test_has_unit_length_for_any_encoder():
    for dim in (64, 96, 384):
        found = global_descriptor(place(1, dim=dim))
        assert found.shape == (SIZE,)
        torch.testing.assert_close(found.norm(), torch.tensor(1.0))


def test_does_not_depend_on_where_things_are():
    features = place(1)
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(global_descriptor(features), global_descriptor(features[order]))


def test_only_the_most_reliable_patches_count():
    features = place(1, patches=1000)
    torch.testing.assert_close(
        global_descriptor(torch.cat([features, place(2)])), global_descriptor(features)
    )


def test_views_of_one_place_are_more_alike_than_those_of_two():
    halves = [place(seed).chunk(2) for seed in range(12)]
    first, second = (
        torch.stack([global_descriptor(h) for h in side]) for side in zip(*halves, strict=True)
    )
    assert ((first @ second.T).argmax(dim=1) == torch.arange(12)).all()


def test_cosines_are_those_of_the_whole_matrix():
    """The sketch changes them by about the inverse root of its size."""
    images = [place(seed) for seed in range(12)]
    short = torch.stack([global_descriptor(image) for image in images])
    whole = torch.stack([dense(image) for image in images])
    assert (short @ short.T - whole @ whole.T).abs().max() < 4 / SIZE**0.5


def test_is_the_one_of_the_map_format():
    """Of one patch, as docs/map-format.md has it: maps are read by later versions."""
    feature = np.arange(1.0, 5.0) / np.sqrt(30.0)
    outputs = np.random.PCG64(0).random_raw(10)
    expected = np.zeros(SIZE)
    entries = [feature[i] * feature[j] for i in range(4) for j in range(i, 4)]
    for entry, output in zip(entries, outputs.tolist(), strict=True):
        expected[output % 512] += -np.sqrt(entry) if output >> 63 else np.sqrt(entry)
    found = global_descriptor(torch.tensor(feature[None]))
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-6)
