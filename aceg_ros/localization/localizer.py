"""Where am I? One image, its camera and a map code in; a pose with covariance, or a reason, out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from scipy.spatial import cKDTree

from aceg_ros.encoder.base import Encoder, image_tensor, similarity
from aceg_ros.encoder.view import full_size, patch_rays
from aceg_ros.errors import MapCodeError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import inverse, transform_points
from aceg_ros.landmarks.templates import find_planar_patches, most_frontal, planar_patches
from aceg_ros.localization.result import Localization, LocalizationFailure
from aceg_ros.maps.code import MapCode
from aceg_ros.pose.ransac import ransac_pose
from aceg_ros.pose.refine import RefinedPose, refine_pose
from aceg_ros.pose.reprojection import Reprojection
from aceg_ros.regressor.anchored import SceneCoordinates
from aceg_ros.regressor.base import SceneRegressor
from aceg_ros.regressor.blocks import Surroundings

_FEW_LANDMARKS = 50  # fewer say little about a pose
_LEAST_SIMILARITY = 0.1  # cosine
_FLOOR_PX = 0.3  # deviation that even the best of matches have
_NOT_FOUND = {
    'no_pose': 'no pose agrees with the map',
    'undetermined': 'the matches found do not determine a pose',
}


@dataclass(frozen=True)
class LocalizerOptions:
    """Pixels are those of the working image.

    Of a free code all patches are read and those kept whose sigma is small beside the image's own;
    without anchors and landmarks there is nothing to read again or to align with.
    """

    patches: int = 1000  # most reliable patches that read the map
    correspondences: int = 500  # most certain of those that pose estimation gets
    max_sigma_px: float = 40.0  # patches less certain than this are not used
    threshold_px: float = 12.0  # reprojection error of an inlier
    # Factors on RANSAC's threshold, tried in turn, each with its own sampling, until such a share
    # of the guided readings agrees with the pose and it explains enough of the image (below); else
    # the pose that explains most is taken.
    attempts: tuple[float, ...] = (1.0, 1.7, 2.5, 1.0)
    sure_share: float = 0.62
    free_threshold_px: float = 10.0  # as threshold_px, of a free code; this and the next two are
    free_quantile: float = 0.1  # ACE-G's: of the sigmas of an image that a free code is read for
    free_factor: float = 2.0  # patches of less than so many times that quantile are kept
    guided_rounds: int = 3  # readings again at most, of what lies near each patch's ray by the pose
    guided_radius_px: float = 24.0
    settled_px: float = 3.0  # a pose that a round moved by less is not read again
    guided_tokens: int = 16  # nearest ones that a patch reads again
    landmarks: int = 250  # looked for in the image, at most, those seen most as they were before
    landmark_angle: float = 40.0  # degrees at most between the two directions
    landmark_reach: int = 3  # px around where the pose expects one
    landmark_similarity: float = 0.7  # least correlation
    landmark_sigma_px: float = 0.5
    settled_threshold_px: float = 6.0  # reprojection error of an inlier of the final pose
    min_inliers: int = 60
    min_inlier_ratio: float = 0.22  # of the correspondences
    # How much of the image a pose must explain: a patch's similarity to what the map has near its
    # ray, as a part of its similarity to the most similar token of all, on average. Less will do
    # where such a share of the landmarks in view is found again.
    min_support_ratio: float = 0.76
    min_redetected_share: float = 0.5
    max_position_std: float = 0.12  # of the distance to the scene; a vaguer pose is no pose
    max_rotation_std_deg: float = 5.0


class Localizer:
    """Localizes images in one map."""

    def __init__(
        self,
        code: MapCode,
        encoder: Encoder,
        regressor: SceneRegressor,
        options: LocalizerOptions | None = None,
    ):
        """Raises MapCodeError when the map was made with another encoder or regressor."""
        check_identity(code, encoder, regressor)
        self.code = code
        self.options = options or LocalizerOptions()
        self._encoder = encoder
        self._regressor = regressor.to(encoder.device).eval()
        self._tensors = code.tensors(encoder.device)
        self._planar_patches = planar_patches(code.landmarks, code.keyframes)

    def localize(
        self, image: np.ndarray, camera: Camera, prior: np.ndarray | None = None
    ) -> Localization | LocalizationFailure:
        """``image`` (H, W, 3) uint8 RGB; ``prior`` a guess of world_from_cam (4, 4), only a hint.

        Raises ImageError when the image is none or not of the camera's size.
        """
        clock = _Clock()
        view, view_camera = self._encoder.view(image, camera)
        patches = self._encode(view, view_camera)
        clock.lap('encode')
        if similarity(patches.features) > self._encoder.max_similarity:
            return LocalizationFailure(
                'featureless',
                'all parts of the image look alike: it is blank, too dark, overexposed or blurred',
                clock.seconds,
            )
        patches, matches = self._read(patches)
        clock.lap('read')
        if len(matches.rays) < self.options.min_inliers:
            return LocalizationFailure(
                'unknown_view',
                f'the map knows only {len(matches.rays)} patches of this image',
                clock.seconds,
            )
        settled = self._search(patches, matches, prior, clock)
        if isinstance(settled, str):
            return LocalizationFailure(settled, _NOT_FOUND[settled], clock.seconds)
        refined, matched = settled
        if not self.code.free:
            refined, matched = self._align(view, view_camera, *settled)
        clock.lap('align')
        found = Localization(
            world_from_cam=refined.world_from_cam,
            covariance=refined.covariance,
            points2d=full_size(matched.points2d, view_camera, camera),
            points3d=matched.points3d,
            sigma=matched.sigma,
            inliers=refined.inliers,
            seconds=clock.seconds,
        )
        # a guided reading agrees with any pose to some degree: the first one is the witness
        witness = Reprojection(matches.rays, matches.points3d, patches.focal)
        errors = witness.errors(refined.world_from_cam)
        doubt = self._too_few(errors < self._threshold_px) or self._too_strange(matched)
        if doubt is None:
            found = with_map_error(found, self.code.info.angular_error)
            doubt = self._too_vague(found)
        return found if doubt is None else LocalizationFailure(*doubt, clock.seconds)

    @torch.inference_mode()
    def _encode(self, view: np.ndarray, camera: Camera) -> _Patches:
        """The most reliable patches of the image; all of them for a free code."""
        encoded = self._encoder.encode(image_tensor(view, self._encoder.device))
        centers, rays = patch_rays(camera, encoded.stride)
        reliability = encoded.reliability[0].flatten()
        usable = torch.from_numpy(np.isfinite(rays).all(axis=1)).to(reliability.device)
        reliability = reliability.masked_fill(~usable, -1.0)
        count = int(usable.sum())
        if not self.code.free:
            count = min(self.options.patches, count)
        chosen = reliability.topk(count).indices
        features = encoded.features[0].flatten(1).T[chosen]
        index = chosen.cpu().numpy()
        return _Patches(features, rays[index], centers[index], camera.focal)

    @torch.inference_mode()
    def _read(self, patches: _Patches) -> tuple[_Patches, _Matches]:
        """The patches, now with their similarity, and what the map tells them."""
        around = None
        if self._regressor.looks_around:
            around = Surroundings.of(torch.from_numpy(patches.rays).to(patches.features))
        read = self._regressor(patches.features, self._tensors, around=around)
        return replace(patches, similarity=read.similarity), self._surest(patches, read)

    @torch.inference_mode()
    def _read_again(self, patches: _Patches, pose: np.ndarray) -> _Matches:
        """What the map tells the patches at a pose: each reads what lies near its ray only."""
        tokens = self._tokens_near(patches, pose)
        some = (tokens >= 0).any(dim=1)
        patches, tokens = patches.subset(some), tokens[some]
        # what lies near the ray is no matter of similarity any more
        read = self._regressor(patches.features, self._tensors, tokens, corrected=False)
        matches = self._surest(patches, read)
        if read.similarity is None or patches.similarity is None or not len(tokens):
            return matches
        support_ratio = (read.similarity / patches.similarity.clamp_min(_LEAST_SIMILARITY)).mean()
        return replace(matches, support_ratio=float(support_ratio))

    def _surest(self, patches: _Patches, read: SceneCoordinates) -> _Matches:
        """The most certain of the readings."""
        sigma = read.sigma.cpu().double().numpy()
        points3d = read.points3d.cpu().double().numpy()
        best = np.argsort(sigma)
        if self.code.free:
            limit = self.options.free_factor * np.quantile(sigma, self.options.free_quantile)
            best = best[sigma[best] < limit]
            return _Matches(patches.rays[best], patches.centers[best], points3d[best], sigma[best])
        best = best[: self.options.correspondences]
        distance = np.linalg.norm(points3d[best] - self.code.mean, axis=1)
        best = best[sigma[best] * patches.focal < self.options.max_sigma_px * distance]
        return _Matches(patches.rays[best], patches.centers[best], points3d[best], sigma[best])

    @property
    def _threshold_px(self) -> float:
        options = self.options
        return options.free_threshold_px if self.code.free else options.threshold_px

    def _search(
        self, patches: _Patches, matches: _Matches, prior: np.ndarray | None, clock: _Clock
    ) -> tuple[RefinedPose, _Matches] | str:
        """The settled pose that explains most of the image, or why there is none (`_NOT_FOUND`).

        Where matches are few and lie in one part of the image, sampling may end in a pose that is
        right for that part only.
        """
        best, most, reason = None, -1.0, 'no_pose'
        attempts = self.options.attempts[:1] if self.code.free else self.options.attempts
        for seed, factor in enumerate(attempts):
            threshold = factor * self._threshold_px
            rays, points3d = matches.rays, matches.points3d
            coarse = ransac_pose(rays, points3d, patches.focal, threshold, prior, seed)
            clock.lap('ransac')
            if coarse is None:
                continue
            settled = self._settle(patches, matches, coarse[0])
            clock.lap('refine')
            if settled is None:
                reason = 'undetermined'
                continue
            share, support_ratio = float(settled[0].inliers.mean()), settled[1].support_ratio
            if support_ratio > most:
                best, most = settled, support_ratio
            if share >= self.options.sure_share and support_ratio >= self.options.min_support_ratio:
                break
        return reason if best is None else best

    def _settle(
        self, patches: _Patches, matches: _Matches, pose: np.ndarray
    ) -> tuple[RefinedPose, _Matches] | None:
        """Read again what lies near each patch's ray, and refine, until the pose moves no more.

        A free code is not read again; the pose is refined on the ``matches``.
        """
        if self.code.free:
            refined = self._refine(patches, matches, pose)
            return None if refined is None else (refined, matches)
        for left in reversed(range(self.options.guided_rounds)):
            guided = self._read_again(patches, pose)
            refined = self._refine(patches, guided, pose)
            if refined is None:
                return None
            shift = _shift_px(pose, refined.world_from_cam, guided.points3d, patches.focal)
            if not left or shift < self.options.settled_px:
                return refined, guided
            pose = refined.world_from_cam
        return None

    def _refine(self, patches: _Patches, matches: _Matches, pose: np.ndarray) -> RefinedPose | None:
        return refine_pose(
            pose,
            matches.rays,
            matches.points3d,
            matches.sigma_px(pose, patches.focal),
            patches.focal,
            self._threshold_px,
        )

    def _align(
        self, view: np.ndarray, camera: Camera, pose: RefinedPose, matches: _Matches
    ) -> tuple[RefinedPose, _Matches]:
        """Measure landmarks in the image, and refine the pose on them and the matches together."""
        options, center = self.options, pose.world_from_cam[:3, 3]
        frontal = most_frontal(self._planar_patches, center, np.radians(options.landmark_angle))
        squares = self._planar_patches.subset(frontal)
        seen = find_planar_patches(
            np.asarray(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), np.uint8),
            camera,
            pose.world_from_cam,
            squares,
            options.landmark_reach,
            options.landmark_similarity,
            options.landmarks,
        )
        points3d = squares.centers[seen.index]
        distance = np.linalg.norm(points3d - center, axis=1)
        sigma = options.landmark_sigma_px * distance / camera.focal
        together = matches.joined(
            _Matches(camera.rays(seen.points2d), seen.points2d, points3d, sigma)
        )
        refined = refine_pose(
            pose.world_from_cam,
            together.rays,
            together.points3d,
            together.sigma_px(pose.world_from_cam, camera.focal),
            camera.focal,
            options.settled_threshold_px,
            floor_px=_FLOOR_PX,
        )
        if refined is None:
            return pose, matches
        agreeing = refined.inliers[len(matches.rays) :].sum()
        redetected_share = float(agreeing) / max(seen.sought, _FEW_LANDMARKS)
        return refined, replace(together, redetected_share=redetected_share)

    def _tokens_near(self, patches: _Patches, pose: np.ndarray) -> torch.Tensor:
        """The tokens (P, k) nearest to each patch's ray, -1 in the place of farther ones."""
        offsets = self.code.anchors - pose[:3, 3]
        towards = offsets / np.linalg.norm(offsets, axis=1, keepdims=True)
        tree = cKDTree(towards, balanced_tree=False, compact_nodes=False)
        _, tokens = tree.query(
            patches.rays @ pose[:3, :3].T,
            k=self.options.guided_tokens,
            distance_upper_bound=self.options.guided_radius_px / patches.focal,
        )
        tokens[tokens == len(towards)] = -1
        return torch.from_numpy(tokens).to(self._encoder.device)

    def _too_few(self, agreeing: np.ndarray) -> tuple[str, str] | None:
        options, count = self.options, int(agreeing.sum())
        if count >= max(options.min_inliers, options.min_inlier_ratio * len(agreeing)):
            return None
        return 'few_inliers', f'only {count} of {len(agreeing)} patches agree on a pose'

    def _too_strange(self, matches: _Matches) -> tuple[str, str] | None:
        """Repeated things agree on a pose too, but the rest of the image is not as mapped there."""
        options = self.options
        if self.code.free or matches.support_ratio >= options.min_support_ratio:
            return None
        if matches.redetected_share >= options.min_redetected_share:
            return None
        return 'unlike_map', 'repeated things agree on a pose, but the rest is not as mapped there'

    def _too_vague(self, found: Localization) -> tuple[str, str] | None:
        position = float(np.sqrt(np.linalg.eigvalsh(found.covariance[:3, :3])[-1]))
        rotation = float(np.degrees(np.sqrt(np.linalg.eigvalsh(found.covariance[3:, 3:])[-1])))
        limit = self.options.max_position_std * scene_distance(found)
        if position <= limit and rotation <= self.options.max_rotation_std_deg:
            return None
        return 'uncertain', f'the pose is too vague: {position:.2f} and {rotation:.1f} degrees'


def _shift_px(before: np.ndarray, after: np.ndarray, points3d: np.ndarray, focal: float) -> float:
    """Median angle by which a new pose moves the points in view, times the focal length."""
    seen = [transform_points(inverse(pose), points3d) for pose in (before, after)]
    first, second = (points / np.linalg.norm(points, axis=1, keepdims=True) for points in seen)
    return float(np.median(np.linalg.norm(second - first, axis=1))) * focal


def scene_distance(found: Localization) -> float:
    """Median distance from the camera to the points its pose rests on."""
    points3d = found.points3d[found.inliers]
    return float(np.median(np.linalg.norm(points3d - found.world_from_cam[:3, 3], axis=1)))


def with_map_error(found: Localization, angle: float) -> Localization:
    """``found`` with the map's own error in its covariance.

    A map that is off by ``angle`` (rad), as a whole view shows it, turns the camera by as much or
    shifts it by as much of the scene's distance.
    """
    shift = angle * scene_distance(found)
    added = np.diag([shift**2] * 3 + [angle**2] * 3)
    return replace(found, covariance=found.covariance + added)


@dataclass(frozen=True)
class _Patches:
    """The patches of one image that read the map."""

    features: torch.Tensor  # (P, D)
    rays: np.ndarray  # (P, 3)
    centers: np.ndarray  # (P, 2) px in the working image
    focal: float
    similarity: torch.Tensor | None = (
        None  # (P,) to the token of the map most alike, once it is read
    )

    def subset(self, kept: torch.Tensor) -> _Patches:
        """Those of a mask (P,)."""
        index = kept.cpu().numpy()
        similarity = None if self.similarity is None else self.similarity[kept]
        return _Patches(
            self.features[kept], self.rays[index], self.centers[index], self.focal, similarity
        )


@dataclass(frozen=True)
class _Matches:
    """N patches and where the map says they are, the most certain first."""

    rays: np.ndarray  # (N, 3)
    points2d: np.ndarray  # (N, 2) px in the working image
    points3d: np.ndarray  # (N, 3)
    sigma: np.ndarray  # (N,) meters
    support_ratio: float = 0.0  # how well the pose they were read at explains the patches, and
    redetected_share: float = (
        0.0  # the share of landmarks that agree with it; see `LocalizerOptions`
    )

    def joined(self, others: _Matches) -> _Matches:
        """These and others, with what is said of these."""
        parts = (self.rays, self.points2d, self.points3d, self.sigma)
        more = (others.rays, others.points2d, others.points3d, others.sigma)
        rays, points2d, points3d, sigma = (
            np.concatenate(pair) for pair in zip(parts, more, strict=True)
        )
        return _Matches(rays, points2d, points3d, sigma, self.support_ratio, self.redetected_share)

    def sigma_px(self, pose: np.ndarray, focal: float) -> np.ndarray:
        """Sigma as the camera at ``pose`` sees it, (N,) px."""
        distance = np.linalg.norm(self.points3d - pose[:3, 3], axis=1)
        return self.sigma * focal / np.maximum(distance, 1e-6)


def check_identity(code: MapCode, encoder: Encoder, regressor: SceneRegressor) -> None:
    """Raise MapCodeError when ``code`` was made with another encoder or regressor."""
    for what, made_with, given in (
        ('encoder', code.info.encoder, encoder.identity),
        ('regressor', code.info.regressor, regressor.codes()),
    ):
        if made_with != given:
            raise MapCodeError(
                f'the map was made with {what} {made_with}, not with {given}: make the map again, '
                f'or use the {what} it was made with'
            )


class _Clock:
    """Seconds spent in each stage, which may come several times."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
