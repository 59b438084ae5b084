"""Half the bits where the hardware multiplies them natively."""

from __future__ import annotations

from functools import lru_cache

import torch


def half_precision(device: torch.device) -> torch.autocast:
    """A context in which products and convolutions run in bfloat16, where that is faster.

    Elsewhere (a CPU without AVX512-BF16 or AMX, a GPU older than Ampere) it changes nothing.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=_native_bfloat16(device.type))


def halved(tensor: torch.Tensor) -> torch.Tensor:
    """``tensor`` in bfloat16, where products are faster in it."""
    return tensor.bfloat16() if _native_bfloat16(tensor.device.type) else tensor


@lru_cache
def _native_bfloat16(kind: str) -> bool:
    if kind == 'cuda':
        return torch.cuda.get_device_capability() >= (8, 0)
    if kind != 'cpu' or not hasattr(torch.cpu, 'get_capabilities'):
        return False
    able = torch.cpu.get_capabilities()
    return bool(able.get('avx512_bf16') or able.get('amx_bf16'))
