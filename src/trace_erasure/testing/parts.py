"""What the builders of tiny pipelines share: their parts, their settings."""

from __future__ import annotations

from typing import Any

import torch

POSITIONS = 48
"""Tokens of a prompt, unless another number is asked for."""
VAE = {
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "latent_channels": 4,
    "sample_size": 16,
}
SHIFTED = {**VAE, "shift_factor": 0.06}
WAN_VAE = {
    "base_dim": 8,
    "z_dim": 4,
    "dim_mult": [1, 1],
    "num_res_blocks": 1,
    "temperal_downsample": [True],
    "latents_mean": [0.1, -0.2, 0.3, 0.0],
    "latents_std": [1.5, 0.5, 1.0, 2.0],
}


def assembled(kind: Any, parts: dict[str, Any], scheduler: Any, **others: Any) -> Any:
    """A pipeline of networks in eval mode, which prints no progress."""
    for network in parts.values():
        network.eval()
    pipe = kind(**parts, scheduler=scheduler, **others)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def with_norms(network: Any) -> Any:
    """``network``, whose norms scale, as trained ones do."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name and parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5)
    return network
