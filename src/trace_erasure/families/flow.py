"""What the rectified-flow transformers have in common: where text enters, and the schedule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TOKEN_MAP = re.compile(r"context_embedder")
POOLED_MAP = re.compile(r"time_text_embed\.text_embedder\.linear_1")
TEXT_ATTENTION = re.compile(r"transformer_blocks\.\d+\.attn\.add_[kv]_proj")


def shift(config: Mapping[str, Any], patches: int, greatest: float) -> float:
    """μ of a schedule that shifts with the image's size: linear in the number of its patches.

    ``greatest`` is μ at the largest size, for a scheduler's ``config`` that does not say.
    """
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", greatest)
    return low + (high - low) * (patches - few) / (many - few)
