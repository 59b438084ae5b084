"""The map code: all that differs between scenes, and what is worth knowing about it.

There are two kinds. An *anchored* code has tokens, each with a 3D point in the scene. A *free* code
(of the published ACE-G) has vectors that only its own regressor turns into points.

A code's numbers are relative to the map's origin, because float32 holds the millions of meters of
UTM or ECEF coordinates only to half a meter. What leaves the product is in the frame of the mapping
poses, in float64: the localizer's answers, `world_points` and `world_keyframes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import shifted
from aceg_ros.landmarks.landmarks import Landmarks

ANCHORED, FREE = 'anchored', 'free'  # kinds of codes, and of what fits and reads them
SUFFIX = '.aceg'  # of files of maps
# Origins are multiples of this, so that maps nearer to zero than half of it have none.
_ORIGIN_STEP = 100.0
MOST_SESSIONS = 32  # bits of `AnchoredCode.token_sessions`
_NAMED = 4  # thin places that the advice names

# Held-out keyframes are of the same recording, so that they tell nothing of other views.
NONE_NEEDED = 'none needed where it was recorded; aceg coverage tells where else a camera is found'

Vector3: TypeAlias = tuple[float, float, float]
Matrix4: TypeAlias = tuple[tuple[float, ...], ...]  # four rows of four
AS_GIVEN: Matrix4 = tuple(tuple(row) for row in np.eye(4).tolist())


class Rating(str, Enum):
    """How good a map found itself, by localizing keyframes that it did not see."""

    GOOD = 'good'  # at least 80 % of them were found well
    FAIR = 'fair'  # at least half
    POOR = 'poor'  # less
    UNKNOWN = 'unknown'  # too few keyframes to hold any out, or an imported map


@dataclass(frozen=True)
class ThinPlace:
    """A held-out view that was found badly."""

    frame: str
    position: Vector3  # of the camera, map units, in the frame of the mapping poses


def advice_on(thin: Sequence[ThinPlace]) -> str:
    """What to record more, of a map that is thin at these places."""
    if not thin:
        return NONE_NEEDED
    places = '; '.join(f'{place.frame} at {list(place.position)}' for place in thin[:_NAMED])
    return f'record more views, from several positions each, around {places}'


@dataclass(frozen=True)
class MapQuality:
    """A map's report on itself; lengths in map units."""

    rating: Rating = Rating.UNKNOWN
    advice: str = ''  # what to record more
    held_out: int = 0  # keyframes it was tested on
    localized: int = 0  # of these
    median_error: float | None = None  # None where not most of them were localized
    median_error_deg: float | None = None
    median_inliers: int = 0
    median_depth: float = 0.0  # how far things are from the cameras
    thin: tuple[ThinPlace, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self) | {'rating': self.rating.value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MapQuality:
        """What `to_dict` gave; raises KeyError, TypeError or ValueError for anything else."""
        thin = tuple(
            ThinPlace(str(place['frame']), (float(x), float(y), float(z)))
            for place in values['thin']
            for x, y, z in [place['position']]
        )
        return cls(**{**values, 'rating': Rating(values['rating']), 'thin': thin})


@dataclass(frozen=True)
class Session:
    """One recording that a map was made from, and how well the map found views of it."""

    name: str  # unique in its map
    created: str = ''  # when it was mapped, ISO 8601, UTC
    cameras: tuple[int, ...] = ()  # which of `MapInfo.cameras` took it
    quality: MapQuality = field(default_factory=MapQuality)
    angular_error: float = 0.0  # rad
    view_error: float = 0.0  # rad
    covariance_scale: float = 1.0
    # Takes places in the frame of the poses that were mapped to the map's; a scale may be in it.
    world_from_poses: Matrix4 = AS_GIVEN

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self) | {'quality': self.quality.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Session:
        """What `to_dict` gave; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            str(values['name']),
            str(values['created']),
            tuple(int(camera) for camera in values['cameras']),
            MapQuality.from_dict(values['quality']),
            *as_errors(values),
            as_matrix4(values['world_from_poses']),
        )


def as_errors(values: Mapping[str, Any]) -> tuple[float, float, float]:
    """`angular_error`, `view_error` and `covariance_scale` of a map or session.

    Raises KeyError, TypeError or ValueError for anything else.
    """
    angle, view = float(values['angular_error']), float(values.get('view_error', 0.0))
    scale = float(values.get('covariance_scale', 1.0))
    if not (0 <= angle < math.inf and 0 <= view < math.inf and 0 < scale <= 1):
        raise ValueError(f'{angle} and {view} are no errors, or {scale} is no scale')
    return angle, view, scale


def as_matrix4(rows: Any) -> Matrix4:
    """Four rows of four numbers as a map holds them; raises ValueError for anything else."""
    matrix = np.array(rows, np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise ValueError(f'a transform of shape {matrix.shape} is none of four rows of four')
    return tuple(tuple(row) for row in matrix.tolist())


@dataclass(frozen=True)
class KnownCamera:
    """A camera that recorded a map, as its images say that it is."""

    camera: Camera
    given_from_cam: Matrix4 = AS_GIVEN  # its frame, in the one that the poses given are of

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {'camera': self.camera.to_dict(), 'given_from_cam': self.given_from_cam}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> KnownCamera:
        """What `to_dict` gave; raises KeyError, TypeError or ValueError for anything else."""
        return cls(Camera.from_dict(values['camera']), as_matrix4(values['given_from_cam']))


@dataclass(frozen=True)
class MapInfo:
    """What a map was made from and for."""

    encoder: str  # Encoder.identity
    regressor: str  # SceneRegressor.codes()
    metric: bool  # whether the unit of length is the meter
    cameras: tuple[Camera, ...]  # those seen, each once, with the calibrations given
    frame_id: str = 'map'
    created: str = ''  # ISO 8601, UTC
    quality: MapQuality = field(default_factory=MapQuality)
    # Errors of the map as held-out views show them, rad, see `mapping.validation`: all that the
    # residuals of one image do not show, and what covariances lack even so.
    angular_error: float = 0.0
    view_error: float = 0.0
    # Or else the part of them that is enough near the mapped views, at most 1.
    covariance_scale: float = 1.0
    # What the numbers of the code are relative to, in the frame of the mapping poses, map units.
    origin: Vector3 = (0.0, 0.0, 0.0)
    sessions: tuple[Session, ...] = ()  # what it was made from, `MOST_SESSIONS` at most
    # Of a part of a large place, the place: maps with the same one share the world of their poses.
    place: str = ''
    # What the images say of each of `cameras`; empty where all are as given.
    known: tuple[KnownCamera, ...] = ()

    def known_camera(self, camera: Camera) -> KnownCamera:
        """The ``camera`` as the map's images say that it is; as given where they say nothing."""
        for given, known in zip(self.cameras, self.known, strict=False):
            if given.is_like(camera):
                return replace(known, camera=known.camera.scaled(camera.width, camera.height))
        return KnownCamera(camera)


@dataclass(frozen=True)
class AnchoredCode:
    """n tokens, each an embedding and an anchor in the scene, and landmarks.

    Everything has the axes of the mapping poses and is relative to `info.origin`. A token may be of
    several sessions: what looks the same in two of them is one token. A landmark is of its
    keyframe's session.
    """

    kind: ClassVar[str] = ANCHORED

    embeddings: np.ndarray  # (n, D) float32
    anchors: np.ndarray  # (n, 3) float32, meters
    log_sigma: np.ndarray  # (n,) float32, log meters
    log_prior: np.ndarray  # (n,) float32
    colors: np.ndarray  # (n, 3) uint8 RGB
    # (K, 4, 4) float64, world_from_cam; adjusted to each other where those recorded do not fit
    keyframes: np.ndarray
    recorded: np.ndarray  # (K, 4, 4) float64, as recorded, of the camera as `MapInfo.known` has it
    token_sessions: np.ndarray  # (n,) uint32, bit s is set where session s has the token
    keyframe_sessions: np.ndarray  # (K,) uint8, the session of each keyframe
    keyframe_stamps: np.ndarray  # (K,) float64, when it was taken, seconds; nan if not known
    # (K, G) float32, `encoder.descriptor` of each image; zeros, or G = 0, where there is none
    descriptors: np.ndarray
    info: MapInfo
    landmarks: Landmarks = field(default_factory=Landmarks.none)

    @property
    def mean(self) -> np.ndarray:
        """Mean of the mapping cameras' centers, (3,) meters."""
        return self.keyframes[:, :3, 3].mean(axis=0)

    @property
    def extent(self) -> np.ndarray:
        """Least and greatest corner (2, 3) of the anchors without the outermost 1 %, meters."""
        return np.percentile(self.anchors, [1, 99], axis=0)


@dataclass(frozen=True)
class FreeCode:
    """n vectors without anchors, which a regressor reads as points around the scene's mean.

    It has no points to show and no landmarks; an imported code has no keyframes.
    Everything is relative to `info.origin`.
    """

    kind: ClassVar[str] = FREE

    embeddings: np.ndarray  # (n, D) float32
    mean: np.ndarray  # (3,) float32, meters
    keyframes: np.ndarray  # (K, 4, 4) float64, world_from_cam
    info: MapInfo

    @property
    def keyframe_sessions(self) -> np.ndarray:
        """All of the one session, (K,)."""
        return np.zeros(len(self.keyframes), np.uint8)

    @property
    def anchors(self) -> np.ndarray:
        """Empty, (0, 3)."""
        return np.zeros((0, 3), np.float32)

    @property
    def colors(self) -> np.ndarray:
        """Empty, (0, 3)."""
        return np.zeros((0, 3), np.uint8)

    @property
    def descriptors(self) -> np.ndarray:
        """None, (K, 0)."""
        return np.zeros((len(self.keyframes), 0), np.float32)

    @property
    def recorded(self) -> np.ndarray:
        """The keyframes, (K, 4, 4)."""
        return self.keyframes

    @property
    def landmarks(self) -> Landmarks:
        """Empty."""
        return Landmarks.none()

    @property
    def extent(self) -> np.ndarray:
        """Least and greatest corner (2, 3) of the mapping cameras' centers, meters."""
        places = np.vstack([self.keyframes[:, :3, 3], self.mean])
        return np.stack([places.min(axis=0), places.max(axis=0)])


MapCode: TypeAlias = AnchoredCode | FreeCode


def origin_near(place: NDArray[np.floating[Any]]) -> Vector3:
    """An origin that leaves float32 its precision around a place (3,); zero where that is near."""
    x, y, z = (_ORIGIN_STEP * np.round(np.asarray(place, np.float64) / _ORIGIN_STEP) + 0.0).tolist()
    return x, y, z


def world_points(code: MapCode) -> NDArray[np.float64]:
    """Anchors (n, 3) in the frame of the mapping poses, map units."""
    return np.asarray(code.anchors.astype(np.float64) + code.info.origin)


def world_keyframes(code: MapCode) -> NDArray[np.float64]:
    """Poses (K, 4, 4) of the mapping images, world_from_cam in the frame of the mapping poses."""
    return shifted(code.keyframes, code.info.origin)


def session_mount(info: MapInfo, session: Session) -> NDArray[np.float64] | None:
    """Where the camera of a session is in what its poses were given of (4, 4).

    None where the session has several cameras that are mounted differently, because a keyframe does
    not say which of them took it.
    """
    cameras = [info.known_camera(info.cameras[index]) for index in session.cameras]
    mounts = np.array([camera.given_from_cam for camera in cameras] or [AS_GIVEN])
    return mounts[0] if np.allclose(mounts, mounts[0]) else None
