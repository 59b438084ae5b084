"""Exceptions of the package. Each message says what is wrong and what to do about it."""


class AcegError(Exception):
    """Base of all errors that a user can cause or fix; the command line prints only the message."""


class PoseError(AcegError):
    """A pose is not a finite rigid transform."""


class CameraError(AcegError):
    """A camera calibration cannot be used."""


class ImageError(AcegError):
    """An image cannot be read or has a shape or type that is no picture."""


class DatasetError(AcegError):
    """A dataset cannot be recognized, read or paired with its poses."""


class StorageError(DatasetError):
    """The disk does not take what is to be recorded: it is full, or the folder not writable."""


class MapCodeError(AcegError):
    """A map file is foreign, damaged, from the future, or made for another encoder or regressor."""


class MapNotFoundError(MapCodeError):
    """There is no map at the place named."""


class WeightsError(AcegError):
    """A network's weights are missing, damaged or do not fit the network."""


class FitError(AcegError):
    """The recorded keyframes do not allow a map to be fitted."""


class FitCancelled(AcegError):
    """The fit was stopped on request before it had a result."""


class AlignmentError(AcegError):
    """What is given does not say reliably how one frame lies in another."""


class TransformError(AcegError):
    """The transform between two frames is not known at the time asked for."""


class ConfigError(AcegError):
    """A configuration has a key that does not exist, or a value that makes no sense."""
