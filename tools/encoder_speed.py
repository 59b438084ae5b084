"""Compare what runs the wide encoder: PyTorch, ONNX Runtime and OpenVINO, in turns in one process.

    pip install onnx onnxruntime openvino
    python tools/encoder_speed.py PICTURE --threads 1

Prints the time of a process that each takes for one image, and how often it fits
into that of PyTorch in 32 bits.
`Cosine` compares its features with those of PyTorch: the median, and what 99 % of them reach.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch

SIZES = ((640, 480), (320, 240))
# Images to features (1, D, H', W') of unit length.
Run = Callable[['torch.Tensor'], 'torch.Tensor']


def contestants(threads: int, folder: Path) -> dict[str, Run]:
    """What is compared, by name; OpenVINO only where it is installed."""
    import onnxruntime
    import torch
    import torch.nn.functional as F
    from quantize_encoder import Described, export

    from aceg_ros.encoder import wide
    from aceg_ros.encoder.quantized import INPUTS, QuantizedWideEncoder
    from aceg_ros.models import model_path

    torch.set_num_threads(threads)
    encoder = wide.WideEncoder.load(model_path('wide.safetensors'))
    quantized = model_path('wide-int8.onnx')

    def in_torch(half: bool) -> Run:
        @torch.inference_mode()
        def run(images: torch.Tensor) -> torch.Tensor:
            with torch.autocast('cpu', torch.bfloat16, enabled=half):
                return encoder.network(images)[0]

        return run

    def traced() -> Run:
        given = wide.standardized(torch.zeros(1, 3, 480, 640))
        with torch.inference_mode():
            graph = torch.jit.freeze(torch.jit.trace(Described(encoder.network).eval(), given))

        @torch.inference_mode()
        def run(images: torch.Tensor) -> torch.Tensor:
            described = graph(*wide.standardized(images))
            return F.normalize(wide.of_images(described, images)[0], dim=1)

        return run

    def outside(described: Callable[[dict[str, np.ndarray]], Any]) -> Run:
        @torch.inference_mode()
        def run(images: torch.Tensor) -> torch.Tensor:
            parts = zip(INPUTS, wide.standardized(images), strict=True)
            features, reliability = described({k: v.contiguous().numpy() for k, v in parts})
            both = torch.from_numpy(features), torch.from_numpy(reliability)
            return F.normalize(wide.of_images(both, images)[0], dim=1)

        return run

    found = {'PyTorch f32': in_torch(False), 'PyTorch f32, traced and frozen': traced()}
    natively = bool(torch.cpu.get_capabilities().get('avx512_bf16'))
    if natively:
        found['PyTorch bf16'] = in_torch(True)
    exact = folder / 'wide.onnx'
    export(encoder, exact)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    session = onnxruntime.InferenceSession(str(exact), options, providers=['CPUExecutionProvider'])
    found['ONNX Runtime f32'] = outside(lambda parts: session.run(None, parts))
    int8 = QuantizedWideEncoder.load(quantized)
    found['ONNX Runtime int8 (wide-int8)'] = lambda images: int8.encode(images).features
    try:
        import openvino
    except ImportError:
        return found
    core = openvino.Core()

    def in_openvino(path: Path, precision: str) -> Run:
        settings = {
            'INFERENCE_NUM_THREADS': threads,
            'NUM_STREAMS': 1,
            'INFERENCE_PRECISION_HINT': precision,
        }
        request = core.compile_model(str(path), 'CPU', settings).create_infer_request()

        def described(parts: dict[str, np.ndarray]) -> list[np.ndarray]:
            request.infer(parts)
            return [request.get_output_tensor(index).data for index in (0, 1)]

        return outside(described)

    found['OpenVINO f32'] = in_openvino(exact, 'f32')
    found['OpenVINO int8'] = in_openvino(quantized, 'f32')
    if natively:
        found['OpenVINO bf16'] = in_openvino(exact, 'bf16')
    return found


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('picture', type=Path)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--rounds', type=int, default=30)
    arguments = parser.parse_args()
    os.environ['OMP_NUM_THREADS'] = str(arguments.threads)
    os.environ['OMP_WAIT_POLICY'] = 'PASSIVE'
    from aceg_ros.encoder.base import image_tensor

    picture = cv2.imread(str(arguments.picture))
    with tempfile.TemporaryDirectory() as folder:
        runs = contestants(arguments.threads, Path(folder))
    for size in SIZES:
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        images = image_tensor(np.ascontiguousarray(small[..., ::-1]))
        expected = next(iter(runs.values()))(images)
        cosines, seconds = {}, {name: [] for name in runs}
        for name, run in runs.items():
            run(images)
            cosines[name] = (run(images) * expected).sum(dim=1).flatten()
        for _ in range(arguments.rounds):
            for name, run in runs.items():
                started = time.process_time()
                run(images)
                seconds[name].append(time.process_time() - started)
        median = {name: float(np.median(taken)) for name, taken in seconds.items()}
        base = next(iter(median.values()))
        print(f'\n| {size[0]}x{size[1]}, threads: {arguments.threads} | ms | faster by | cosine |')
        print('| --- | --- | --- | --- |')
        for name, taken in median.items():
            middle, low = (float(cosines[name].quantile(at)) for at in (0.5, 0.01))
            ratio = base / taken
            print(f'| {name} | {1000 * taken:.1f} | {ratio:.2f} | {middle:.4f}, {low:.4f} |')


if __name__ == '__main__':
    main()
