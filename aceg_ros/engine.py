"""The parts put together: which encoder and regressor, where they are, on which device."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from aceg_ros.encoder.base import Encoder
from aceg_ros.encoder.compact import CompactEncoder
from aceg_ros.encoder.quantized import QuantizedWideEncoder
from aceg_ros.encoder.wide import WideEncoder
from aceg_ros.errors import AcegError, MapCodeError, WeightsError
from aceg_ros.maps.code import ANCHORED, FREE, MapInfo
from aceg_ros.models import model_folders, model_path
from aceg_ros.regressor.anchored import AnchoredConfig, AnchoredRegressor
from aceg_ros.regressor.base import SceneRegressor
from aceg_ros.regressor.files import SUFFIX, described, load_regressor

COMPACT = 'compact'
WIDE = 'wide'
WIDE_INT8 = 'wide-int8'
DINOV2 = 'dinov2'
PUBLISHED = 'ace_g_pretrained'  # what the published head is called


@dataclass(frozen=True)
class Networks:
    """Which networks to load; empty for what a map needs, or else for those that are usual.

    A published regressor without an encoder takes the one of the published ACE-G. ``encoder`` is
    'compact', 'wide', 'wide-int8' (which reads maps of 'wide'), 'dinov2' or another name in
    `encoder.hub`, or the folder of a DINOv2 network.
    ``regressor`` is 'anchored', or a file made by "aceg import-regressor" or "aceg pretrain", by
    its path or by its name in a folder of models.
    """

    encoder: str = ''
    regressor: str = ''

    def complete(self) -> Networks:
        """These, with what is left open chosen without a map."""
        regressor = self.regressor or ANCHORED
        published = (
            regressor != ANCHORED and described(regressor_file(regressor)).get('kind') == FREE
        )
        return Networks(self.encoder or (DINOV2 if published else WIDE), regressor)

    def for_map(self, info: MapInfo) -> Networks:
        """These, with what is left open chosen by what a map was made with.

        Raises WeightsError when a network that the map needs is not on this machine. Of networks
        named it is not checked here that they are those of the map; `Localizer` does.
        """
        chosen = self
        if not chosen.regressor:
            chosen = replace(chosen, regressor=_regressor_with(info.regressor))
        if not chosen.encoder:
            chosen = replace(chosen, encoder=_encoder_with(info.encoder))
        return chosen


@dataclass(frozen=True)
class Engine:
    """An encoder and a regressor, which are the same for every scene."""

    encoder: Encoder
    regressor: SceneRegressor

    @classmethod
    def load(cls, device: str = 'auto', networks: Networks | None = None) -> Engine:
        """Load networks; ``device`` is 'auto', 'cpu', 'cuda' or 'cuda:N'.

        Raises WeightsError when one is missing or damaged, or when the two do not fit together.
        """
        networks = (networks or Networks()).complete()
        place = resolve_device(device)
        if networks.regressor == ANCHORED:
            encoder = _load_encoder(networks.encoder, place, AnchoredRegressor.unit_features)
            return cls(encoder, AnchoredRegressor(AnchoredConfig(dim_in=encoder.dim)))
        regressor = load_regressor(regressor_file(networks.regressor))
        encoder = _load_encoder(networks.encoder, place, regressor.unit_features)
        if regressor.config.dim_in != encoder.dim:
            raise WeightsError(
                f'the regressor {networks.regressor} takes features of {regressor.config.dim_in} '
                f'numbers, those of the encoder {encoder.name} have {encoder.dim}; choose another '
                'encoder (--encoder), such as dinov2'
            )
        return cls(encoder, regressor)

    @classmethod
    def for_map(
        cls, info: MapInfo, device: str = 'auto', networks: Networks | None = None
    ) -> Engine:
        """Load the networks that a map was made with; see `Networks.for_map`."""
        return cls.load(device, (networks or Networks()).for_map(info))

    def to(self, device: torch.device) -> None:
        """Move both networks; what reads with them has to be made anew."""
        self.encoder.to(device)
        self.regressor.to(device)


class Engines:
    """Networks in use, each loaded once."""

    def __init__(self, device: str = 'auto') -> None:
        """``device`` as `Engine.load` has it."""
        self._device = device
        self._loaded: dict[Networks, Engine] = {}

    def load(self, wanted: Networks) -> Engine:
        """These networks, loaded unless they are; raises WeightsError as `Engine.load`."""
        if wanted not in self._loaded:
            self._loaded[wanted] = Engine.load(self._device, wanted)
        return self._loaded[wanted]

    def loaded(self, wanted: Networks) -> Engine | None:
        """These networks, if they are loaded."""
        return self._loaded.get(wanted)

    def keep_only(self, wanted: Collection[Networks]) -> None:
        """Give back the memory of all others."""
        self._loaded = {name: each for name, each in self._loaded.items() if name in wanted}


def check_networks(info: MapInfo, engine: Engine) -> None:
    """Raise MapCodeError when a map was made with other networks than ``engine`` has."""
    for what, made_with, given in (
        ('encoder', info.encoder, engine.encoder.identity),
        ('regressor', info.regressor, engine.regressor.codes()),
    ):
        if made_with != given:
            raise MapCodeError(
                f'the map was made with {what} {made_with}, not with {given}: make the map again, '
                f'or use the {what} it was made with'
            )


def resolve_device(device: str) -> torch.device:
    """'auto' is CUDA where there is one; raises AcegError for a device that is not there."""
    if device == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        resolved = torch.device(device)
        torch.empty(1, device=resolved)
    except (RuntimeError, AssertionError) as error:
        raise AcegError(f'device {device!r} cannot be used here; try "auto" or "cpu"') from error
    return resolved


def _load_encoder(source: str, device: torch.device, unit: bool) -> Encoder:
    if source == COMPACT:
        return CompactEncoder.load(model_path('compact.safetensors'), device)
    if source == WIDE:
        return WideEncoder.load(model_path('wide.safetensors'), device)
    if source == WIDE_INT8:
        return QuantizedWideEncoder.load(model_path('wide-int8.onnx'))
    from aceg_ros.encoder.dinov2 import Dinov2Encoder
    from aceg_ros.encoder.hub import dinov2_folder

    return Dinov2Encoder.load(dinov2_folder(source), device, unit)


def regressor_file(source: str) -> Path:
    """The file of a regressor given by its path or its name among models; raises WeightsError."""
    path = Path(source).expanduser()
    if path.is_file() or len(path.parts) > 1:
        return path
    return model_path(path.name if path.suffix == SUFFIX else path.name + SUFFIX)


def _regressor_with(codes: str) -> str:
    """The regressor that reads such codes, for `Networks`; empty for anchored codes."""
    if codes.startswith(ANCHORED):
        return ''
    for folder in model_folders():
        for file in sorted(folder.glob(f'*{SUFFIX}')):
            about = described(file)
            if codes in (about.get('codes'), about.get('identity')):
                return str(file)
    raise WeightsError(
        f'the map was made with the regressor {codes}, which is in none of the folders '
        f'{", ".join(map(str, model_folders()))}: put its file into one of them (published weights '
        'with "aceg import-regressor"), or name it'
    )


def _encoder_with(identity: str) -> str:
    """The encoder with this identity, for `Networks`; the shipped ones by name."""
    if identity.startswith(f'{WIDE}-'):
        return WIDE
    if not identity.startswith(f'{DINOV2}-'):
        return COMPACT
    from aceg_ros.encoder.dinov2 import identity_of as identity_of_folder
    from aceg_ros.encoder.hub import DEFAULT, dinov2_folders, download_command

    for folder in dinov2_folders():
        if identity.startswith(identity_of_folder(folder, unit=False)):
            return str(folder)
    raise WeightsError(
        f'the map was made with the encoder {identity}, which is not on this machine: name its '
        f"folder, or get it; the published ACE-G's with\n  {download_command(DEFAULT)}"
    )
