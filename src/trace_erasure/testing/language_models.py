"""Text encoders and tokenizers of the newer families: the true classes, random weights, offline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import (
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizer,
    GlmConfig,
    GlmModel,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    PixtralVisionConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3Model,
)

from trace_erasure.testing.tokenizers import WORDS, chat_tokenizer

SMALL: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}


def plain_chat_tokenizer(positions: int, *marks: str) -> Any:
    """``chat_tokenizer`` with ``marks`` as single tokens, such as the lines of an instruction."""
    tokenizer = chat_tokenizer(positions)
    known = [str(token) for token in tokenizer.all_special_tokens]
    tokenizer.add_special_tokens({"additional_special_tokens": [*known, *marks]})
    return tokenizer


def gemma_tokenizer(positions: int, marks: Sequence[str] = ()) -> Any:
    """A Gemma tokenizer: one token for each word, one a character for other ASCII text, and one
    for each of ``marks``, such as the lines of an instruction."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    characters = ["▁", "\n", *map(chr, range(33, 127))]
    merges: dict[tuple[str, str], None] = {}
    words: list[str] = []
    for word in WORDS:
        built = ""
        for letter in [*word, "▁"]:  # the tokenizer splits behind spaces
            if built:
                merges[built, letter] = None
                words.append(built + letter)
            built += letter
    vocabulary = {t: i for i, t in enumerate(dict.fromkeys([*special, *characters, *words]))}
    pairs: Any = list(merges)  # as the tokenizers library takes them
    tokenizer = GemmaTokenizer(vocabulary, pairs, add_bos_token=True, model_max_length=positions)
    if marks:
        tokenizer.add_special_tokens({"additional_special_tokens": list(marks)})
    return tokenizer


def _decoder(model: Any, config: Any, tokenizer: Any, width: int, **others: Any) -> nn.Module:
    return model(
        config(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=3,
            initializer_range=0.3,
            **SMALL,
            **others,
        )
    )


def gemma2(tokenizer: Any, width: int) -> nn.Module:
    return _decoder(Gemma2Model, Gemma2Config, tokenizer, width)


def glm(tokenizer: Any, width: int) -> nn.Module:
    padding = tokenizer.pad_token_id
    return _decoder(GlmModel, GlmConfig, tokenizer, width, pad_token_id=padding)


def qwen3(tokenizer: Any, width: int) -> nn.Module:
    return _decoder(Qwen3Model, Qwen3Config, tokenizer, width)


def qwen25_vl(tokenizer: Any, width: int) -> nn.Module:
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "initializer_range": 0.3,
        "rope_scaling": {
            "type": "mrope",
            "mrope_section": [width // 32, width // 32, width // 16],
        },
    }
    vision = {
        "depth": 1,
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_heads": 2,
        "out_hidden_size": width,
    }
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    model = Qwen2_5_VLForConditionalGeneration(config)
    return spread(model)


def mistral3(tokenizer: Any, width: int, layers: int) -> nn.Module:
    text = MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        initializer_range=0.1,
        **SMALL,
    )
    vision = PixtralVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
    )
    model = Mistral3ForConditionalGeneration(Mistral3Config(text_config=text, vision_config=vision))
    return spread(model)


def spread(model: Any) -> Any:
    """``model`` with weights large enough that narrow layers mix tokens."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter.shape[-1] ** -0.5)
    return model
