"""Make models/wide-int8.onnx from models/wide.safetensors; again whenever those weights change.

    pip install onnx onnxruntime
    python tools/quantize_encoder.py

Ranges of the numbers inside are measured on views of procedural worlds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from aceg_ros.encoder.base import image_tensor
from aceg_ros.encoder.quantized import ENCODER, INPUTS, OUTPUTS
from aceg_ros.encoder.wide import WideEncoder, WideNetwork, standardized
from aceg_ros.files import write_atomically
from aceg_ros.geometry.cameras import Camera
from aceg_ros.lab.worlds import WorldOptions, make_world, record, tour
from aceg_ros.models import model_path

MODELS = Path(__file__).resolve().parents[1] / 'models'
SEEDS, VIEWS = range(300_000, 300_004), 6
CAMERA = Camera.pinhole(640, 480, 525.0, 525.0, 319.5, 239.5)
# What stays in floating point: the trunk, whose filters of one channel each lose most and gain
# nothing, and the last layers.
EXACT = ('trunk', 'output', 'direct', 'reliability')
AXES = {0: 'images', 2: 'rows', 3: 'columns'}


class Described(nn.Module):
    """`WideNetwork.described`, as the exporter takes it."""

    def __init__(self, network: WideNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, color: torch.Tensor, gray: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.network.described(color, gray)


class Views(CalibrationDataReader):
    """Standardized views of procedural worlds, one after another."""

    def __init__(self) -> None:
        self._views = self._drawn()

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._views, None)

    def _drawn(self) -> Iterator[dict[str, np.ndarray]]:
        for seed in SEEDS:
            world = make_world(seed, WorldOptions(texture_size=256))
            for frame in record(world, CAMERA, tour(world, VIEWS, seed), supersample=1).frames:
                parts = standardized(image_tensor(frame.image()))
                yield {
                    name: part.contiguous().numpy()
                    for name, part in zip(INPUTS, parts, strict=True)
                }


def export(encoder: WideEncoder, path: Path) -> None:
    """Write `WideNetwork.described` as a graph in floating point, for images of any size."""
    torch.onnx.export(
        Described(encoder.network).eval(),
        standardized(torch.zeros(1, 3, 128, 192)),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        # Color and gray differ in size, and reliability has no channels.
        dynamic_axes={
            'color': AXES,
            'gray': {axis: f'gray {name}' for axis, name in AXES.items()},
            'features': {axis: f'patch {name}' for axis, name in AXES.items()},
            'reliability': {0: 'images', 1: 'patch rows', 2: 'patch columns'},
        },
    )


def quantized(encoder: WideEncoder, folder: Path) -> onnx.ModelProto:
    """The encoder as a graph whose fine stem works in 8 bits; steps lie in ``folder``."""
    exported, prepared, made = (
        folder / f'{name}.onnx' for name in ('exported', 'prepared', 'made')
    )
    export(encoder, exported)
    quant_pre_process(str(exported), str(prepared), skip_symbolic_shape=True)
    convolutions = [node.name for node in onnx.load(prepared).graph.node if node.op_type == 'Conv']
    quantize_static(
        str(prepared),
        str(made),
        Views(),
        op_types_to_quantize=['Conv'],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[name for name in convolutions if any(part in name for part in EXACT)],
    )
    graph = onnx.load(made)
    graph.ir_version = 8  # that of the operators' version, so that older runtimes read it too
    onnx.helper.set_model_props(graph, {ENCODER: encoder.identity})
    return graph


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('-o', '--output', type=Path, default=MODELS / 'wide-int8.onnx')
    output = parser.parse_args().output
    encoder = WideEncoder.load(model_path('wide.safetensors'))
    with tempfile.TemporaryDirectory() as folder:
        write_atomically(output, quantized(encoder, Path(folder)).SerializeToString())
    print(f'{output}: {output.stat().st_size / 1e6:.1f} MB, of {encoder.identity}')


if __name__ == '__main__':
    main()
