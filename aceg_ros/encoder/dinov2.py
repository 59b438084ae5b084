"""DINOv2 (Oquab et al., 2023) as an encoder: large, general features; meant for a GPU.

The network is Hugging Face's; its weights are read from a folder and never fetched from here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from aceg_ros.encoder.base import PatchFeatures
from aceg_ros.encoder.view import cropped_view
from aceg_ros.errors import ImageError, WeightsError
from aceg_ros.geometry.cameras import Camera
from aceg_ros.precision import half_precision

PREFIX = 'dinov2-'  # of identities
STRIDE = 14
SHORT_SIDE = 480  # px
_MEAN, _STD = 0.4, 0.25  # of intensities in 0..1, the same for all channels
_TYPES = {'dinov2': 'Dinov2Model', 'dinov2_with_registers': 'Dinov2WithRegistersModel'}
# What the features depend on beside the weights.
_SHAPE = (
    'model_type',
    'hidden_size',
    'num_hidden_layers',
    'num_attention_heads',
    'num_register_tokens',
    'image_size',
    'patch_size',
    'use_swiglu_ffn',
    'layer_norm_eps',
)
_UNIT = '-unit'
_GOLDEN = (5**0.5 - 1) / 2


class Dinov2Encoder:
    """Last-layer patch tokens of a frozen DINOv2, with or without registers.

    ``unit`` features are scaled to length 1, which anchored codes need; others are as the last
    layer gives them, which the published regressor needs. The network does not say how reliable a
    patch is; the numbers given spread the choice of any number of patches over the image.
    """

    name = 'dinov2'
    stride = STRIDE
    max_similarity = 1.0  # how much alike patches of blank images are was not measured
    short_steps = False

    def __init__(self, model: Any, identity: str, device: torch.device, unit: bool):
        self.model = model.to(device).float().eval().requires_grad_(False)
        self.identity = identity
        self.device = device
        self.dim = int(model.config.hidden_size)
        self._skipped = 1 + int(getattr(model.config, 'num_register_tokens', 0))
        self._unit = unit

    @classmethod
    def load(
        cls, folder: Path, device: torch.device | str = 'cpu', unit: bool = False
    ) -> Dinov2Encoder:
        """Read a folder with config.json and safetensors, as `save_pretrained` writes it.

        Raises WeightsError when the extra is not installed, or the folder does not fit.
        """
        transformers = _library()
        kind = str(_configuration(folder).get('model_type'))
        identity = identity_of(folder, unit)
        try:
            model, report = getattr(transformers, _TYPES[kind]).from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            if report['missing_keys'] or report['mismatched_keys']:
                lacking = sorted(map(str, [*report['missing_keys'], *report['mismatched_keys']]))
                raise ValueError(f'without {", ".join(lacking[:3])}')
            if not all(torch.isfinite(value).all() for value in model.state_dict().values()):
                raise ValueError('some are no numbers')
        except Exception as error:  # the library raises whatever its parts do
            raise _unfit(folder, error) from error
        return cls(model, identity, torch.device(device), unit)

    def to(self, device: torch.device) -> None:
        """See `Encoder.to`."""
        self.model.to(device)
        self.device = device

    @staticmethod
    def view(image: np.ndarray, camera: Camera) -> tuple[np.ndarray, Camera]:
        """See `Encoder.view`: short side 480 px, cut right and bottom to whole patches."""
        return cropped_view(image, camera, SHORT_SIDE, STRIDE)

    @torch.inference_mode()
    def encode(self, images: torch.Tensor) -> PatchFeatures:
        """See `Encoder.encode`."""
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < 64:
            raise ImageError(
                'the encoder takes (B, 3, H, W) images of at least 64x64 px, '
                f'not {tuple(images.shape)}'
            )
        rows, columns = images.shape[2] // STRIDE, images.shape[3] // STRIDE
        batch = images[..., : rows * STRIDE, : columns * STRIDE].to(self.device).float()
        with self._precision():
            tokens = self.model((batch / 255 - _MEAN) / _STD).last_hidden_state
        features = tokens[:, self._skipped :].float().transpose(1, 2)
        if self._unit:
            features = F.normalize(features, dim=1)
        features = features.reshape(len(batch), self.dim, rows, columns)
        spread = torch.arange(rows * columns, dtype=torch.float64) * _GOLDEN % 1
        reliability = (0.99 + 0.01 * spread).float().to(self.device)
        reliability = reliability.view(1, rows, columns).expand(len(batch), -1, -1)
        return PatchFeatures(features, reliability, STRIDE)

    def _precision(self) -> torch.autocast:
        """Float16 on a GPU, whose steps are finer than bfloat16's."""
        if self.device.type == 'cuda':
            return torch.autocast('cuda', torch.float16)
        return half_precision(self.device)


def identity_of(folder: Path, unit: bool) -> str:
    """Identity of the encoder in a folder; raises WeightsError where there is none."""
    configuration = _configuration(folder)
    shape = {name: configuration.get(name) for name in _SHAPE}
    digest = hashlib.sha256(json.dumps(shape, sort_keys=True).encode())
    try:
        for file in sorted(folder.glob('*.safetensors')):
            with file.open('rb') as stream:
                while chunk := stream.read(1 << 22):
                    digest.update(chunk)
    except OSError as error:
        raise _unfit(folder, error) from error
    return PREFIX + digest.hexdigest()[:16] + (_UNIT if unit else '')


def _configuration(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise _unfit(folder, error) from error
    if not isinstance(values, dict) or values.get('model_type') not in _TYPES:
        raise _unfit(folder, 'config.json is of another kind of network')
    if values.get('patch_size') != STRIDE:
        raise _unfit(folder, f'its patches are not of {STRIDE} px')
    return values


def _unfit(folder: Path, error: object) -> WeightsError:
    words = (str(error).splitlines() or [type(error).__name__])[0]
    return WeightsError(
        f'{folder} does not hold a DINOv2 network ({words}); download it again '
        '(docs/published-aceg.md)'
    )


def _library() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise WeightsError(
            'the encoder dinov2 needs the package transformers: pip install "aceg_ros[dinov2]", or '
            'pip install transformers'
        ) from error
    return transformers
