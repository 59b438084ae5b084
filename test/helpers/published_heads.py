"""Networks of the published kind with random weights, also as the files they are published as."""

from __future__ import annotations

from typing import Any

import torch

from aceg_ros.regressor.ace_g import AceGConfig, AceGRegressor

CONFIG = AceGConfig(dim_in=24, dim=32, blocks=2, heads=4)


def random_network(config: AceGConfig = CONFIG, seed: int = 0) -> AceGRegressor:
    """A frozen network."""
    torch.manual_seed(seed)
    return AceGRegressor(config).requires_grad_(False).eval()


def published_state(network: AceGRegressor) -> dict[str, Any]:
    """The network as the published program would save it."""
    state: dict[str, Any] = {'max_scale': torch.ones(1), 'min_scale': torch.ones(1)}
    state['mean'] = torch.tensor(0.0)
    for name, tensor in network.state_dict().items():
        state[theirs(name)] = tensor.clone()
    config = network.config
    values = {
        'dim_in': config.dim_in,
        'dim_emb': config.dim,
        'num_blocks': config.blocks,
        'num_attention_heads': config.heads,
        'mlp_ratio': config.mlp_ratio,
        'dim_map_emb': None,
        'use_homogeneous': True,
        'use_uncertainty': True,
        'use_final_layer_norm': config.out_norm,
        'final_mlp_layers': config.out_layers,
        'final_mlp_ratio': config.out_ratio,
    }
    state['_extra_state'] = {'_head_config_dict': values}
    return state


def theirs(name: str) -> str:
    """What the published program calls a parameter."""
    parts = name.split('.')
    if parts[0] in ('in_mlp', 'out_mlp'):
        place = int(parts[1])
        kind = 'norms' if place % 3 == 2 else 'fcs'
        return f'{parts[0]}.{kind}.{place // 3}.{parts[2]}'
    if parts[0] == 'blocks':
        block, part, *rest = parts[1:]
        if part.endswith('proj'):
            part = f'attn.{part}'
        if part == 'mlp':
            rest[0] = {'0': 'fcs.0', '2': 'fcs.1'}[rest[0]]
        return '.'.join(['transformer_blocks', block, part, *rest])
    return name
