"""Tokenizers of the real classes with a small vocabulary, built offline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer, Qwen2Tokenizer, T5Tokenizer

WORDS = (
    "a",
    "an",
    "the",
    "of",
    "in",
    "by",
    "and",
    "photo",
    "painting",
    "style",
    "fox",
    "dog",
    "red",
    "horse",
)
CAPTIONS = ("a photo of a dog", "a red horse", "a painting of a horse", "a dog and a horse")
"""Ordinary language in ``WORDS``, for erasures on the tiny pipelines."""
BOS, EOS = "<|startoftext|>", "<|endoftext|>"
CHAT = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""A chat template in the manner of Qwen3's."""
CHAT_WORDS = ("user", "assistant")
CHAT_MARKS = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")


def t5_tokenizer(positions: int) -> Any:
    """A T5 tokenizer: one token for each of ``WORDS``, one a character for other ASCII text."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    words = [(f"▁{word}", -1.0) for word in WORDS]
    characters = [(character, -5.0) for character in ("▁", *map(chr, range(33, 127)))]
    return T5Tokenizer([*special, *words, *characters], extra_ids=0, model_max_length=positions)


def clip_tokenizer(positions: int, padding: str = EOS) -> Any:
    """A CLIP tokenizer: one token for each of ``WORDS``, one a byte for everything else."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    symbols += [symbol + "</w>" for symbol in symbols]
    words = ([*word[:-1], word[-1] + "</w>"] for word in WORDS)
    parts = _byte_pairs(symbols, words, [BOS, EOS])
    return CLIPTokenizer(**parts, pad_token=padding, model_max_length=positions)


def chat_tokenizer(positions: int) -> Any:
    """A Qwen tokenizer with a chat template: one token for each of ``WORDS`` after a space and for
    what the template says, one a byte for everything else."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*(f"Ġ{word}" for word in WORDS), *CHAT_WORDS, "ĊĊ"]
    parts = _byte_pairs(symbols, map(list, words), [EOS])
    tokenizer = Qwen2Tokenizer(
        **parts, eos_token=EOS, pad_token=EOS, unk_token=EOS, model_max_length=positions
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(CHAT_MARKS)})
    tokenizer.chat_template = CHAT
    return tokenizer


def _byte_pairs(
    symbols: list[str], words: Iterable[list[str]], special: list[str]
) -> dict[str, Any]:
    """The vocabulary and the merges that make one token of each of ``words``, given in symbols."""
    merges: dict[tuple[str, str], str] = {}
    for first, *rest in words:
        for symbol in rest:
            merges[first, symbol] = first + symbol
            first += symbol
    tokens = dict.fromkeys([*symbols, *merges.values(), *special])
    return {"vocab": {token: i for i, token in enumerate(tokens)}, "merges": list(merges)}
