"""Text encoders of the real classes with random weights, a few layers deep."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5EncoderModel,
)

DEEPEST = 27
"""Of the text encoder's layers that ``Flux2KleinPipeline`` reads."""


def clip_encoder(tokenizer: Any, width: int, kind: Any = CLIPTextModel) -> nn.Module:
    return kind(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            projection_dim=width,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def t5_encoder(tokenizer: Any, width: int, kind: Any = T5EncoderModel) -> nn.Module:
    """``kind`` is T5's encoder or one that is configured as it is, such as UMT5's."""
    return kind(
        kind.config_class(
            vocab_size=len(tokenizer),
            d_model=width,
            d_kv=8,
            d_ff=2 * width,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
        )
    )


def qwen3_encoder(tokenizer: Any, width: int) -> nn.Module:
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=DEEPEST + 1,  # the last one's output is normalised
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            initializer_range=0.1,  # layers differ, though they are narrow
        )
    )
