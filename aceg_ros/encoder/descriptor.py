"""One vector for a whole image, to tell which of many places it may show.

It is the correlation of the encoder's features with each other, over the image: what there is to
see, wherever in the image it is. Second-order pooling like this needs no training and no centers
(Carreira et al., ECCV 2012). The square root keeps a few strong entries from deciding alone; a
count sketch (Charikar et al., 2002) makes the matrix short.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

SIZE = 512
_PATCHES = 1000  # that count


def global_descriptor(features: torch.Tensor) -> torch.Tensor:
    """(SIZE,) float32 of unit length; the cosine of two tells how alike the images are.

    ``features`` (P, D) are those of the patches, the most reliable first.
    """
    unit = F.normalize(features[:_PATCHES].float(), dim=1)
    rows, columns, bucket, sign = (each.to(unit.device) for each in _sketch(unit.shape[1]))
    entries = (unit.T @ unit)[rows, columns]
    rooted = entries.sign() * entries.abs().sqrt() * sign
    return F.normalize(unit.new_zeros(SIZE).index_add_(0, bucket, rooted), dim=0)


@lru_cache(maxsize=4)
def _sketch(dim: int) -> tuple[torch.Tensor, ...]:
    """Row and column of each entry of a symmetric matrix, the number it goes to, and its sign.

    Numbers and signs are drawn once and for all; they are part of the map format.
    """
    rows, columns = np.triu_indices(dim)
    bits = np.random.PCG64(0).random_raw(len(rows))
    bucket, sign = bits % np.uint64(SIZE), bits >> np.uint64(63)
    return (
        torch.from_numpy(rows),
        torch.from_numpy(columns),
        torch.from_numpy(bucket.astype(np.int64)),
        torch.from_numpy(1.0 - 2.0 * sign.astype(np.float32)),
    )
