"""Reads anchored codes: patches find similar tokens, or at a pose the tokens near their rays."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from aceg_ros.engine import Engine
from aceg_ros.geometry.visibility import visible_points
from aceg_ros.maps.code import AnchoredCode
from aceg_ros.maps.sessions import session_masks
from aceg_ros.pose.matches import Matches
from aceg_ros.precision import half_precision
from aceg_ros.readers.base import ImagePatches, Prediction
from aceg_ros.readers.options import AnchoredOptions
from aceg_ros.regressor.anchored import AnchoredRegressor, FixedTensors
from aceg_ros.regressor.base import SceneCoordinates
from aceg_ros.regressor.blocks import Surroundings

_MIN_SIMILARITY = 0.1  # cosine; keeps ratios finite
# Of 500 patches a mean similarity differs by 0.002 from that of all.
_ENOUGH_FOR_A_MEAN = 500
_ASKED = 250  # patches that may be elsewhere, and tokens that should be in view, at most
_ALTERNATIVES = 3  # tokens of each of these patches
_MIN_EXPECTED = 20  # tokens in view; fewer say nothing
_AROUND = 1  # patches around the place of a token in view
_CELL = 3  # patches on a side of a cell, in which near tokens hide far ones


class AnchoredReader:
    """An anchored code and its regressor."""

    def __init__(self, code: AnchoredCode, engine: Engine, options: AnchoredOptions):
        self.code = code
        self.max_patches: int | None = options.patches
        self.threshold_px = options.threshold_px
        self._options = options
        self._device = engine.encoder.device
        self._regressor: AnchoredRegressor = engine.regressor  # type: ignore[assignment]
        self._tensors = anchored_tensors(code, self._device)
        # (S, 3) mean of the camera centers of each session: rooms far apart do not meet in between
        self._centers = np.stack(
            [
                code.keyframes[code.keyframe_sessions == index, :3, 3].mean(axis=0)
                for index in range(len(code.info.sessions))
            ]
        )
        self._sessions = [np.flatnonzero(mask) for mask in session_masks(code)]
        self._bits = torch.from_numpy(code.token_sessions.astype(np.int64)).to(self._device)
        # (n,) how far the session of a token spreads, the widest where it has several
        self._reach = torch.zeros(len(code.anchors), device=self._device)
        for session in self._sessions:
            anchors = code.anchors[session]
            spread = np.linalg.norm(anchors - np.median(anchors, axis=0), axis=1)
            self._reach[session] = self._reach[session].clamp_min(float(np.median(spread)))

    @torch.inference_mode()
    def predict(self, patches: ImagePatches) -> Prediction:
        """See `CodeReader.predict`."""
        around = None
        if self._regressor.corrector is not None:
            around = Surroundings.of(torch.from_numpy(patches.rays).to(patches.features))
        count = self._regressor.config.tokens_read
        tokens = self._regressor.similar_tokens(patches.features, self._tensors, count)
        apart = len(self._sessions) > 1 and around is None
        together = self._of_one_place(tokens) if apart else tokens
        read = self._regressor(patches.features, self._tensors, around, together)
        matches = self._surest(patches.rays, patches.centers, read, patches.focal)
        return Prediction(matches, read.similarity, tokens)

    @torch.inference_mode()
    def predict_near(
        self, patches: ImagePatches, world_from_cam: np.ndarray, first: Prediction
    ) -> Prediction | None:
        """See `CodeReader.predict_near`."""
        tokens = self._tokens_near(patches, world_from_cam)
        some = (tokens >= 0).any(axis=1)
        features = patches.features[torch.from_numpy(some)]
        kept = torch.from_numpy(tokens[some]).to(self._device)
        read = self._regressor.among(features, self._tensors, kept)
        matches = self._surest(patches.rays[some], patches.centers[some], read, patches.focal)
        if read.similarity is None or first.similarity is None or not some.any():
            return Prediction(matches, support_ratio=0.0, near_count=0)
        best = first.similarity[torch.from_numpy(some)].clamp_min(_MIN_SIMILARITY)
        support = float((read.similarity / best).mean())
        return Prediction(matches, support_ratio=support, near_count=int(some.sum()))

    @torch.inference_mode()
    def mean_similarity(self, patches: ImagePatches) -> float | None:
        """See `CodeReader.mean_similarity`."""
        step = max(len(patches.features) // _ENOUGH_FOR_A_MEAN, 1)
        with half_precision(self._device):
            similarity = patches.features[::step] @ self._tensors.quick_keys.T
        return float(similarity.amax(dim=1).float().mean())

    def alternatives(self, patches: ImagePatches, first: Prediction) -> Matches | None:
        """See `CodeReader.alternatives`: the anchors of the most similar tokens."""
        if first.tokens is None or first.similarity is None:
            return None
        surest = first.similarity.topk(min(_ASKED, len(first.similarity))).indices.cpu()
        tokens = first.tokens.cpu()[surest, :_ALTERNATIVES].numpy()
        rows = np.repeat(surest.numpy(), tokens.shape[1])
        points3d = self.code.anchors[tokens.reshape(-1)].astype(np.float64)
        sigma = np.exp(self.code.log_sigma[tokens.reshape(-1)].astype(np.float64))
        return Matches(patches.rays[rows], patches.centers[rows], points3d, sigma)

    @torch.inference_mode()
    def expected_ratio(self, patches: ImagePatches, world_from_cam: np.ndarray) -> float | None:
        """See `CodeReader.expected_ratio`; the greatest of the sessions.

        An image is of one light and one time, so that it need not have what other sessions show.
        """
        ratios = [self._session_ratio(patches, world_from_cam, tokens) for tokens in self._sessions]
        return max((ratio for ratio in ratios if ratio is not None), default=None)

    def _session_ratio(
        self, patches: ImagePatches, world_from_cam: np.ndarray, session: np.ndarray
    ) -> float | None:
        """The ratio for the tokens (S,) of one session; None where few are in view."""
        tokens, row, column = self._in_view(patches, world_from_cam, session)
        if len(tokens) < _MIN_EXPECTED:
            return None
        keys = self._tensors.quick_keys[torch.from_numpy(tokens).to(self._device)]
        with half_precision(self._device):
            similarity = keys @ patches.grid.flatten(1)
        rows, columns = patches.grid.shape[1:]
        steps = np.arange(-_AROUND, _AROUND + 1)
        near_row = (row[:, None, None] + steps[:, None]).clip(0, rows - 1)
        near_column = (column[:, None, None] + steps).clip(0, columns - 1)
        places = torch.from_numpy((near_row * columns + near_column).reshape(len(tokens), -1))
        there = similarity.gather(1, places.to(self._device)).amax(dim=1)
        best = similarity.amax(dim=1).float().clamp_min(_MIN_SIMILARITY)
        return float((there.float() / best).mean())

    def _of_one_place(self, tokens: torch.Tensor) -> torch.Tensor:
        """The tokens (P, k) without those of sessions elsewhere than the most similar one, -1.

        A reading is a mean of places: a token of a room a kilometer away would pull it by meters
        with a thousandth of the weight. Of other sessions only tokens as near as the most similar
        one's own session is wide are read along.
        """
        best = tokens[:, :1]
        shared = (self._bits[tokens] & self._bits[best]) != 0
        anchors = self._tensors.anchors
        distance = (anchors[tokens] - anchors[best]).norm(dim=2)
        return tokens.masked_fill(~shared & (distance > self._reach[best]), -1)

    def _in_view(
        self, patches: ImagePatches, world_from_cam: np.ndarray, session: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens of ``session`` (S,) that a camera should see, none of them before another.

        Also their row and column.
        """
        camera, stride = patches.camera, patches.stride
        anchors = self.code.anchors[session].astype(np.float64)
        seen = visible_points(anchors, world_from_cam, camera, _CELL * stride)
        rows, columns = patches.grid.shape[1:]
        # Pixel centers are whole numbers, so that the first patch begins at -0.5.
        column, row = np.floor((seen.pixels + 0.5) / stride).astype(int).T
        inside = np.flatnonzero((row < rows) & (column < columns))
        if len(inside) > _ASKED:
            inside = inside[np.linspace(0, len(inside) - 1, _ASKED).astype(int)]
        return session[seen.index[inside]], row[inside], column[inside]

    def _surest(
        self, rays: np.ndarray, centers: np.ndarray, read: SceneCoordinates, focal: float
    ) -> Matches:
        sigma = read.sigma.cpu().double().numpy()
        points3d = read.points3d.cpu().double().numpy()
        best = np.argsort(sigma)[: self._options.matches]
        offsets = points3d[best, None] - self._centers
        distance = np.linalg.norm(offsets, axis=2).min(axis=1)
        best = best[sigma[best] * focal < self._options.max_sigma_px * distance]
        return Matches(rays[best], centers[best], points3d[best], sigma[best])

    def _tokens_near(self, patches: ImagePatches, world_from_cam: np.ndarray) -> np.ndarray:
        """The tokens (P, k) nearest to each patch's ray, -1 in the place of farther ones."""
        offsets = self.code.anchors - world_from_cam[:3, 3]
        towards = offsets / np.linalg.norm(offsets, axis=1, keepdims=True)
        tree = cKDTree(towards, balanced_tree=False, compact_nodes=False)
        _, tokens = tree.query(
            patches.rays @ world_from_cam[:3, :3].T,
            k=[*range(1, self._options.near_tokens + 1)],
            distance_upper_bound=self._options.near_radius_px / patches.focal,
        )
        tokens[tokens == len(towards)] = -1
        return np.asarray(tokens)


def anchored_tensors(code: AnchoredCode, device: torch.device | str = 'cpu') -> FixedTensors:
    """The code as its regressor reads it."""
    parts = (code.embeddings, code.anchors, code.log_sigma, code.log_prior)
    return FixedTensors(*(torch.as_tensor(part, device=device) for part in parts))
