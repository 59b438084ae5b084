"""The wide encoder for small machines: its fine stem works in 8 bits, by ONNX Runtime on the CPU.

The trunk filters each channel by itself, which 8 bits make coarser, not quicker. So it stays in
floating point (docs/design/small-machines.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from aceg_ros.encoder.base import PatchFeatures
from aceg_ros.encoder.files import check_images
from aceg_ros.encoder.view import bounded_view
from aceg_ros.encoder.wide import DIM, STRIDE, WideEncoder, of_images, standardized
from aceg_ros.errors import WeightsError

# Of the graph, whose inputs and outputs are those of `WideNetwork.described`.
INPUTS, OUTPUTS = ('color', 'gray'), ('features', 'reliability')
ENCODER = 'encoder'  # its metadata: the identity of the encoder that it was made of


class QuantizedWideEncoder:
    """`WideNetwork` in 8 bits. Its features are near enough to read the wide encoder's maps."""

    name = 'wide-int8'
    stride = STRIDE
    dim = DIM
    max_similarity = WideEncoder.max_similarity
    short_steps = WideEncoder.short_steps

    def __init__(self, session: Any, identity: str):
        """``session`` is an onnxruntime.InferenceSession."""
        self._session = session
        self.identity = identity
        self.device = torch.device('cpu')

    @classmethod
    def load(cls, path: Path) -> QuantizedWideEncoder:
        """Read a file made by tools/quantize_encoder.py, to work with as many threads as PyTorch.

        Raises WeightsError when it is no such file, or when ONNX Runtime is not installed.
        """
        runtime = _library()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Threads that wait leave their cores to others, as those of PyTorch do.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            session = runtime.InferenceSession(
                path.read_bytes(), options, providers=['CPUExecutionProvider']
            )
            identity = session.get_modelmeta().custom_metadata_map[ENCODER]
        # It has exceptions of its own for each way in which a file is damaged.
        except Exception as error:
            raise WeightsError(
                f'{path} does not hold the quantized wide encoder ({error}); take the file from '
                'the project, or make it with tools/quantize_encoder.py'
            ) from error
        return cls(session, identity)

    def to(self, device: torch.device) -> None:
        """It stays on the CPU."""

    view = staticmethod(bounded_view)

    @torch.inference_mode()
    def encode(self, images: torch.Tensor) -> PatchFeatures:
        """See `Encoder.encode`."""
        check_images(images)
        given = [part.contiguous().numpy() for part in standardized(images.to(self.device))]
        described = self._session.run(OUTPUTS, dict(zip(INPUTS, given, strict=True)))
        features, reliability = of_images(
            (torch.from_numpy(described[0]), torch.from_numpy(described[1])), images
        )
        return PatchFeatures(F.normalize(features, dim=1), reliability.sigmoid(), STRIDE)


def _library() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise WeightsError(
            'the encoder wide-int8 needs the package onnxruntime: pip install "aceg_ros[int8]", or '
            'pip install onnxruntime'
        ) from error
    return onnxruntime
