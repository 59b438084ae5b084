"""What the wide encoder is taught: that a patch is most like other views' patches of its point."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from aceg_ros.lab.encoder_training.groups import ViewGroup

TEMPERATURE = 32.0  # logit per unit of cosine similarity
# Of a patch's size: nearer points are the same thing, farther ones are other things.
_SAME, _OTHER = 0.8, 1.6
_ROBUST = 0.25  # 0 is cross-entropy; more lets go of what cannot be told apart


@dataclass(frozen=True)
class Patches:
    """P patches of a group of views, some of those whose point is known."""

    points: torch.Tensor  # (P, 3)
    footprint: torch.Tensor  # (P,)
    view: torch.Tensor  # (P,)
    index: torch.Tensor  # (P,) among all patches of the group, view by view, row by row

    @classmethod
    def of(
        cls, group: ViewGroup, count: int, generator: torch.Generator, device: torch.device
    ) -> Patches:
        """``count`` of them at random, or all where there are no more."""
        footprint = torch.from_numpy(group.footprint).to(device)
        points = torch.from_numpy(group.points).to(device)
        known = torch.isfinite(footprint) & torch.isfinite(points).all(dim=3)
        index = known.flatten().nonzero()[:, 0]
        order = torch.randperm(len(index), generator=generator, device=device)
        index = index[order[:count]]
        view = index // known[0].numel()
        return cls(points.view(-1, 3)[index], footprint.view(-1)[index], view, index)

    def queries(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Up to ``count`` patches (Q,) that another view shows too, and relations (Q, P).

        A relation is 1 to a patch of another view that shows the same, 0 to one that shows
        something else, -1 where neither is sure and within the patch's own view.
        """
        device = self.view.device
        order = torch.randperm(len(self.view), generator=generator, device=device)[: 2 * count]
        # the frame's origin may be far away, and squares are subtracted
        center = self.points.mean(dim=0)
        points, size = self.points - center, self.footprint
        distance = torch.cdist(points[order], points)
        distance /= torch.maximum(size[order, None], size[None])
        relation = (distance < _SAME).to(torch.int8)
        relation -= ((distance >= _SAME) & (distance <= _OTHER)).to(torch.int8)
        relation.masked_fill_(self.view[order, None] == self.view[None], -1)
        paired = (relation == 1).any(dim=1).nonzero()[:count, 0]
        return order[paired], relation[paired]

    def pairs_of_views(
        self, queries: torch.Tensor, relation: torch.Tensor, views: int
    ) -> torch.Tensor:
        """How many ordered pairs of the ``views`` have a patch in common, as `queries` found."""
        of_view = F.one_hot(self.view, views).float()
        meets = ((relation == 1).float() @ of_view).clamp_max(1)
        return ((of_view[queries].T @ meets) > 0).sum()


def reading(
    features: torch.Tensor, queries: torch.Tensor, relation: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of the probability that each query reads a patch of its own point, and that (Q,).

    ``features`` (P, D) have unit length. The probability is that of the softmax over all patches of
    other views, which is how a map code is read.
    """
    logits = features[queries] @ features.T
    # all logits are within the temperature of zero, so nothing overflows
    weight = (logits.float() * TEMPERATURE - TEMPERATURE).exp()
    right = (weight * (relation == 1)).sum(dim=1)
    read = (weight * (relation >= 0)).sum(dim=1)
    probability = right / read.clamp_min(1e-20)
    loss = (1 - probability.clamp_min(1e-8) ** _ROBUST) / _ROBUST
    return loss.mean(), probability.detach()


def relational(
    features: torch.Tensor, taught: torch.Tensor, queries: torch.Tensor, view: torch.Tensor
) -> torch.Tensor:
    """Divergence of what the student reads from what the teacher reads, for P patches.

    ``features`` (P, D) and the teacher's ``taught`` (P, D') have unit length; patches of a query's
    own ``view`` (P,) are not read.
    """
    own = view[queries][:, None] == view[None]
    logits = (features[queries] @ features.T).float() * TEMPERATURE
    target = (taught[queries] @ taught.T).float() * TEMPERATURE
    student = logits.masked_fill(own, -1e4).log_softmax(dim=1)
    teacher = target.masked_fill(own, -1e4).log_softmax(dim=1)
    return F.kl_div(student, teacher, reduction='batchmean', log_target=True)
