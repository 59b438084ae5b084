"""From encoded images to a pose: search, align, verify, and the gate.

A view that was not mapped may be nearer than those that were, or rolled. So an image is tried at
half the size where its pose is not sure, and turned where it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aceg_ros.geometry.cameras import turned_from_cam
from aceg_ros.landmarks.templates import planar_patches
from aceg_ros.localization.alignment import AlignedPose, align
from aceg_ros.localization.candidate import Candidate, likelier
from aceg_ros.localization.clock import Clock
from aceg_ros.localization.depth import depth_ratios
from aceg_ros.localization.encoded import EncodedImage
from aceg_ros.localization.gate import other_camera, refusal, with_camera, with_depth
from aceg_ros.localization.options import LocalizationOptions
from aceg_ros.localization.result import Localization, LocalizationFailure, Reason
from aceg_ros.localization.search import search_pose
from aceg_ros.localization.turns import Turns
from aceg_ros.localization.uncertainty import Spacing, pose_uncertainty, with_rival
from aceg_ros.localization.verification import ConfidenceModel, gather
from aceg_ros.localization.views import View, first_matches
from aceg_ros.maps.sessions import session_landmarks
from aceg_ros.readers.base import CodeReader

_NOT_FOUND = {
    Reason.NO_POSE: 'no pose agrees with the map',
    Reason.UNDETERMINED: 'the matches found do not determine a pose',
}


@dataclass(frozen=True)
class _Asked:
    """The images of one pose, what is guessed of it, and where the time goes."""

    images: Sequence[EncodedImage]
    rig_from_cam: np.ndarray  # (N, 4, 4)
    prior: np.ndarray | None  # (4, 4) world_from_rig
    clock: Clock


class PoseFinder:
    """Finds the pose of a rig of cameras about the origin of one map."""

    def __init__(
        self, reader: CodeReader, options: LocalizationOptions, model: ConfidenceModel
    ) -> None:
        """``reader`` reads the map, ``model`` weighs the evidence."""
        self._reader = reader
        self._code = code = reader.code
        self._options = options
        self._model = model
        self._turns = Turns(reader, options.search.min_turn_gain)
        self._spacing = Spacing(
            code.keyframes, code.keyframe_sessions, code.info.quality.median_depth
        )
        self._landmarks = [
            planar_patches(landmarks, code.keyframes) for landmarks in session_landmarks(code)
        ]

    def find(
        self,
        images: Sequence[EncodedImage],
        rig_from_cam: np.ndarray,
        prior: np.ndarray | None,
        clock: Clock,
        turns: Sequence[int] | None = None,
    ) -> tuple[Localization | LocalizationFailure, list[int]]:
        """The pose about the map's origin, and how images were turned; turned only if need be.

        ``turns`` are those to try if they are known; nothing else is tried then.
        """
        asked = _Asked(images, rig_from_cam, prior, clock)
        if turns is not None:
            known = self._in_one_size(asked, turns)
            return self._given(known, asked), list(turns)
        turns = [
            self._turns.expected(None if prior is None else prior @ mount) for mount in rig_from_cam
        ]
        likeliest = self._in_two_sizes(asked, turns)
        answer = self._given(likeliest, asked)
        if isinstance(answer, Localization) or answer.reason is Reason.OTHER_DEPTH:
            return answer, turns  # the place is known, and how the camera is rolled
        better = [self._turns.better(*pair) for pair in zip(images, turns, strict=True)]
        sure = self._options.search.sure_support_ratio
        if (
            better == turns
            and isinstance(likeliest, Candidate)
            and likeliest.settled.explains(sure)
        ):
            # The place is known, so that the pose tells how the camera is rolled.
            pose = likeliest.settled.pose.world_from_cam
            better = [self._turns.expected(pose @ mount) for mount in rig_from_cam]
        clock.lap('turn')
        if better == turns:
            return answer, turns
        likeliest = self._in_two_sizes(asked, better)
        found = self._given(likeliest, asked)
        return (found, better) if found else (answer, turns)

    def _in_two_sizes(self, asked: _Asked, turns: Sequence[int]) -> Candidate | LocalizationFailure:
        """The likeliest pose of `_in_one_size`, also of half the size if it is not sure."""
        first = self._in_one_size(asked, turns)
        sure = self._options.search.sure_confidence
        if not sure or (isinstance(first, Candidate) and first.is_sure(sure)):
            return first
        halves = [image.half for image in asked.images if image.half is not None]
        asked.clock.lap('encode')
        if len(halves) < len(asked.images):
            return first
        second = self._in_one_size(replace(asked, images=halves), turns)
        if isinstance(first, Candidate) and isinstance(second, Candidate):
            return likelier(first, second)
        return second if isinstance(second, Candidate) else first

    def _in_one_size(self, asked: _Asked, turns: Sequence[int]) -> Candidate | LocalizationFailure:
        """A pose about the map's origin, looked for as if the images were turned."""
        turned = [image.turned(turn) for image, turn in zip(asked.images, turns, strict=True)]
        if any(turns):
            asked.clock.lap('turn')
        views = [
            View(
                image.view,
                image.patches,
                self._reader.predict(image.patches),
                mount @ turned_from_cam(-turn),
            )
            for image, mount, turn in zip(turned, asked.rig_from_cam, turns, strict=True)
        ]
        candidate = self._candidate(views, asked.prior, asked.clock)
        if isinstance(candidate, LocalizationFailure):
            return candidate
        points2d = candidate.found.points2d.copy()
        for index, image in enumerate(turned):
            rows = candidate.found.cameras == index
            points2d[rows] = image.given_pixels(points2d[rows])
        return replace(candidate, found=replace(candidate.found, points2d=points2d))

    def _candidate(
        self, views: Sequence[View], prior: np.ndarray | None, clock: Clock
    ) -> Candidate | LocalizationFailure:
        """The pose of the rig of ``views``, with pixels of their images."""
        clock.lap('read')
        known = sum(len(view.first.matches) for view in views)
        if known < self._options.gate.min_inliers:
            message = f'the map knows only {known} patches of this image'
            return LocalizationFailure(Reason.UNKNOWN_VIEW, message, clock.seconds)
        settled = search_pose(self._reader, views, prior, self._options.search, clock)
        if isinstance(settled, Reason):
            return LocalizationFailure(settled, _NOT_FOUND[settled], clock.seconds)
        aligned = AlignedPose.by_patches(settled.pose, settled.matches, 0.0)
        # Free codes have no support ratio, and their matches are too coarse to align with.
        if settled.explains(self._options.landmarks.least_support_ratio):
            aligned = align(
                views,
                self._landmarks,
                settled.pose,
                settled.matches,
                settled.agreeing,
                self._options.landmarks,
            )
        clock.lap('align')
        matches = aligned.matches
        found = Localization(
            world_from_cam=aligned.pose.world_from_cam,
            covariance=aligned.pose.covariance,
            points2d=matches.points2d,
            points3d=matches.points3d,
            sigma=matches.sigma,
            inliers=aligned.pose.inliers,
            seconds=clock.seconds,
            residual_covariance=aligned.pose.covariance,
            cameras=matches.mounting.camera,
        )
        isotropic = found.covariance + found.map_error(self._code.info.angular_error)
        found = replace(found, covariance=isotropic)
        evidence, rival = gather(self._reader, views, settled, aligned, found)
        found = replace(
            found, confidence=self._model.probability(evidence), evidence=evidence.to_dict()
        )
        clock.lap('verify')
        return Candidate(found, evidence, settled, aligned, rival, first_matches(views))

    def _given(
        self, candidate: Candidate | LocalizationFailure, asked: _Asked
    ) -> Localization | LocalizationFailure:
        """The pose with its whole covariance, if the gate lets it through."""
        if isinstance(candidate, LocalizationFailure):
            return candidate
        found = candidate.found
        gate = self._options.gate
        refused = refusal(found, candidate.evidence, self._model, gate)
        if refused is None:
            fit = candidate.camera_fit()
            found = with_camera(found, fit, gate)
            refused = other_camera(found, fit, gate)
        if refused is not None:
            asked.clock.lap('verify')
            return LocalizationFailure(
                *refused, asked.clock.seconds, found.confidence, found.evidence
            )
        if candidate.settled.support_ratio is not None:
            found = replace(found, covariance=self._covariance(candidate))
        asked.clock.lap('verify')
        ratios = depth_ratios(found, [image.depth for image in asked.images], asked.rig_from_cam)
        return with_depth(found, ratios, gate)

    def _covariance(self, candidate: Candidate) -> np.ndarray:
        """All that is known of the error of a pose, (6, 6)."""
        found, evidence, rival = candidate.found, candidate.evidence, candidate.rival
        info, away = self._code.info, (evidence.distance, evidence.angle)
        covariance = pose_uncertainty(
            candidate.aligned, candidate.settled, self._code.keyframes, self._options.uncertainty
        )
        covariance = self._spacing.scale(info.covariance_scale, *away) * covariance
        covariance += found.map_error(self._spacing.factor(*away) * info.view_error)
        if rival.world_from_cam is None or rival.margin >= self._options.gate.min_rival_margin:
            return covariance
        doubt = 1 - found.confidence
        return with_rival(covariance, found.world_from_cam, rival.world_from_cam, doubt)
