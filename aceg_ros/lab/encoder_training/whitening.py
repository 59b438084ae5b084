"""Taking out of a trained wide encoder what all its features have in common."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch

from aceg_ros.encoder.base import image_tensor
from aceg_ros.encoder.wide import WideNetwork

_RELIABLE = 0.5  # part of a picture's patches that count
_STRENGTH = 0.5  # 0 only centers, 1 leaves no correlation
_LEAST = 1e-3  # variance that is still raised, as a part of the largest


@torch.no_grad()
def whitened(
    network: WideNetwork, pictures: Sequence[np.ndarray], strength: float = _STRENGTH
) -> WideNetwork:
    """A copy whose features, before they are brought to unit length, are less alike.

    Their mean is zero, and their correlations are lessened, over the more reliable patches of
    ``pictures`` (H, W, 3). Contrast does not ask for it, but what all features share makes unlike
    patches look alike, and a blank image like any other. It is worked into the last layers.
    """
    network = copy.deepcopy(network)
    device = network.output.weight.device
    found = []
    for picture in pictures:
        features, reliability = network.lengthy(image_tensor(picture, device))
        flat = features[0].flatten(1).T
        chosen = reliability.flatten().topk(int(_RELIABLE * len(flat))).indices
        found.append(flat[chosen])
    sample = torch.cat(found)
    values, vectors = torch.linalg.eigh(torch.cov(sample.T.double()))
    raised = (values / values.max()).clamp_min(_LEAST) ** (-strength / 2)
    matrix = (vectors @ torch.diag(raised) @ vectors.T).float()
    network.output.bias.sub_(sample.mean(dim=0))  # type: ignore[union-attr]
    fine, middle, coarse = network.direct.fine, network.direct.middle, network.direct.coarse
    for layer in (network.output, fine, middle, coarse):
        if layer is None:
            continue
        layer.weight.copy_(torch.einsum('ij,jkhw->ikhw', matrix, layer.weight))
        if layer.bias is not None:
            layer.bias.copy_(matrix @ layer.bias)
    return network
