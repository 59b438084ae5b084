"""Options of mapping, by stage. Defaults map a room in well under a minute on two CPU cores."""

from __future__ import annotations

from dataclasses import dataclass, field

from aceg_ros.mapping.ace_g.schedule import SCHEDULES, AceGSchedule
from aceg_ros.options import Options, option

MIN_KEYFRAMES = 5  # fewer do not make a map
# A room of up to 190 keyframes has as many tokens as one of 190; a map of 300 stays below 1.5 MB.
_LEAST_TOKENS, _TOKENS_PER_KEYFRAME = 6144, 32


@dataclass(frozen=True)
class SweepOptions(Options):
    """First depths, by plane sweep."""

    planes: int = option(128, 'Depths tried along a ray.', low=8)
    views: int = option(10, 'Other keyframes that a depth is tested in.', low=2)
    coarse_planes: int = option(
        160, 'Depths tried over three decades, to find how far the scene is.', low=8
    )
    coarse_patches: int = option(2400, 'Patches of all keyframes that this is found by.', low=1)
    min_agreeing: float = option(
        0.04,
        'Part of these patches that must find a depth. With wrong poses hardly any does; of a '
        'camera that turns on the spot a tenth do.',
        low=0,
        high=1,
    )
    min_parallax: float = option(
        0.4,
        'Parallax of the typical keyframe with its neighbors. A camera that only turns has less.',
        'deg',
        low=0,
    )
    good_parallax: float = option(
        14.0,
        'Parallax that other keyframes are chosen for: enough for depth, little enough to match.',
        'deg',
        low=0.1,
    )


@dataclass(frozen=True)
class TokenOptions(Options):
    """Which patches become tokens."""

    min_score: float = option(0.3, 'Least agreement of the views on the depth.', low=0, high=1)
    max_ambiguity: float = option(
        0.97, "The second best depth's score, as a part of the best's.", low=0, high=1
    )
    voxel: float = option(
        0.07,
        'Side of a voxel in which patches compete, as a part of the median depth. Places that few '
        'keyframes see get their share so.',
        low=0.001,
    )
    start_sigma: float = option(
        0.03, 'Deviation of a token before the fit, as a part of the median depth.', low=0.0001
    )


@dataclass(frozen=True)
class LandmarkOptions(Options):
    """Landmarks: corners whose depth other keyframes confirm to a fraction of a pixel."""

    count: int = option(2500, 'Landmarks at most; one takes 82 bytes.', low=0)
    views: int = option(10, 'Other keyframes that a landmark is looked for in.', low=2)
    min_confirming: int = option(2, 'Keyframes that must confirm its place.', low=1)
    confirmed_px: float = option(1.5, 'Deviation of a keyframe that confirms it.', 'px', low=0.1)
    max_depth_std: float = option(
        0.03, 'Deviation of its depth for errors of a pixel, as a part of the depth.', low=0.001
    )
    min_corner: float = option(
        20.0, 'Strength of the corner: smaller eigenvalue of the gradients, of gray values.', low=0
    )


@dataclass(frozen=True)
class ValidationOptions(Options):
    """The map's test on keyframes that it did not see."""

    held_out: float = option(0.08, 'Part of the keyframes that are held out.', low=0, high=0.999)
    min_held_out: int = option(
        5, 'Held out at least, of 24 keyframes or more: fewer views say little.', low=0
    )
    max_held_out: int = option(12, 'Keyframes held out at most; each costs the map a view.', low=0)
    close: float = option(
        0.025, 'Error of a view that was found well, as a part of the median depth.', low=0
    )
    close_deg: float = option(2.0, 'The same for the rotation.', 'deg', low=0)
    many_inliers: int = option(200, 'Matches that agree in a view that was found well.', low=1)
    usual_angle: float = option(
        0.002,
        'Error that the map of an average camera has as a whole. Few held-out views say little, '
        'so the measured error is drawn towards it.',
        'rad',
        low=0,
    )
    usual_weight: float = option(2.0, 'Weight of the usual error, in held-out views.', low=0)


@dataclass(frozen=True)
class FitOptions(Options):
    """The fit of an anchored code to the patches of all keyframes."""

    epochs: int = option(
        40, 'Passes over the buffer at most; it ends earlier when it converges.', low=1
    )
    batch: int = option(4096, 'Patches in a step.', low=1)
    buffer_patches: int = option(
        160_000, 'Patches in memory, whatever the number of keyframes.', low=1
    )
    augmented: float = option(
        0.2,
        'Part of the buffer that is of turned, scaled and relit copies. They teach the code to be '
        'read from afar and under other light.',
        low=0,
        high=0.999,
    )
    rivals: int = option(16, 'Tokens that a patch may choose from between two searches.', low=1)
    search_every: int = option(2, 'Passes between two searches for similar tokens.', low=1)
    min_gain: float = option(
        0.01, 'Relative gain of the loss in a pass; less is convergence.', low=0, high=1
    )
    embedding_rate: float = option(1e-2, 'Learning rate of embeddings.', low=0)
    anchor_rate: float = option(1.5e-2, 'Learning rate of anchors, in parts of the depth.', low=0)
    sigma_rate: float = option(3e-2, 'Learning rate of the logarithm of sigma.', low=0)
    prior_rate: float = option(3e-2, 'Learning rate of the logit that is added.', low=0)
    near_view_angle: float = option(
        4.0,
        'Changed copies do not read tokens of views nearer than this parallax, so that they have '
        'to be recognized from afar.',
        'deg',
        low=0,
        high=180,
    )


@dataclass(frozen=True)
class FreeOptions(Options):
    """The fit of a free code, as the published ACE-G's."""

    schedule: AceGSchedule = field(default_factory=lambda: SCHEDULES['ace-g-5min'])
    memory: float = option(0.0, "Of the device's memory that may be used; 0: all.", 'GB', low=0)


@dataclass(frozen=True)
class MappingOptions(Options):
    """All of mapping."""

    budget: float = option(
        60.0, 'For all of mapping; the fit ends in time, or when it has converged.', 's', low=0.001
    )
    extension_budget: float = option(
        20.0, 'The same for images that join a map, by "aceg map --extend".', 's', low=0.001
    )
    max_keyframes: int = option(
        400, 'Keyframes that are mapped, evenly chosen where a recording has more.', low=1
    )
    tokens: int = option(
        0,
        'Size of the code; a token takes about 120 bytes. 0 lets it follow the number of '
        'keyframes, so that more keyframes never share fewer tokens.',
        low=0,
    )
    use_depth: bool = option(
        False, 'Take the places of tokens from depth images that are registered to the color.'
    )
    seed: int = option(0, 'Of everything random.', low=0)
    sweep: SweepOptions = field(default_factory=SweepOptions)
    choice: TokenOptions = field(default_factory=TokenOptions)
    landmarks: LandmarkOptions = field(default_factory=LandmarkOptions)
    fit: FitOptions = field(default_factory=FitOptions)
    validation: ValidationOptions = field(default_factory=ValidationOptions)
    free: FreeOptions = field(default_factory=FreeOptions)

    def code_size(self, keyframes: int) -> int:
        """Tokens of an anchored code of so many keyframes."""
        return self.tokens or max(_LEAST_TOKENS, _TOKENS_PER_KEYFRAME * keyframes)
