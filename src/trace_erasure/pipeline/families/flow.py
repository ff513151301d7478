"""What the rectified-flow transformers have in common: where text enters, and the schedule."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from trace_erasure.pipeline.families.conditioning import POOLED, TOKENS
from trace_erasure.pipeline.families.stream import Attention, Stream, TokenSegment

TIMESTEPS = 1000
"""Of the schedules that these networks were trained with."""
MAX_SHIFT = 1.15

TOKEN_MAP = re.compile(r"context_embedder")
POOLED_MAP = re.compile(r"time_text_embed\.text_embedder\.linear_1")
TEXT_ATTENTION = re.compile(r"transformer_blocks\.\d+\.attn\.add_[kv]_proj")
JOINT_ATTENTION = Attention(
    modules=re.compile(r"transformer_blocks\.\d+\.attn"),
    text=re.compile(r"transformer_blocks\.\d+\.attn\.(add_[qkv]_proj|to_add_out)"),
    image=re.compile(
        r"transformer_blocks\.\d+\.(attn\.(to_[qkv]|to_out\.0)|ff(_context)?\.net\.(0\.proj|2))"
        r"|single_transformer_blocks\.\d+\.(attn\.to_[qkv]|proj_mlp|proj_out)"
    ),
    text_queries_keys=re.compile(r"transformer_blocks\.\d+\.attn\.add_[qk]_proj"),
    values=TOKEN_MAP,
    joint=True,
)


def streams(*segments: TokenSegment) -> tuple[Stream, ...]:
    """The two ways in: the tokens of ``segments``, and the pooled vector."""
    return (Stream(TOKENS, TOKEN_MAP, segments), Stream(POOLED, POOLED_MAP))


def shift(config: Mapping[str, Any], shape: tuple[int, ...], patch: int, greatest: float) -> float:
    """μ of a schedule that shifts with the image's size: linear in the number of its patches.

    Args:
        config: of the scheduler.
        shape: of one state, (…, height, width).
        patch: side of what the network reads as one token.
        greatest: μ at the largest size, where ``config`` does not say.
    """
    patches = (shape[-2] // patch) * (shape[-1] // patch)
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", greatest)
    return low + (high - low) * (patches - few) / (many - few)


def dynamic_schedule(patch: int) -> Callable[[Any, int, tuple[int, ...]], dict[str, Any]]:
    """``Family.schedule`` of pipelines that name the noise levels and shift them by ``shift``."""

    def schedule(pipe: Any, steps: int, shape: tuple[int, ...]) -> dict[str, Any]:
        import numpy as np

        return {
            "sigmas": np.linspace(1.0, 1 / steps, steps),
            "mu": shift(pipe.scheduler.config, shape, patch, MAX_SHIFT),
        }

    return schedule
