"""Prompts as a tokenizer gets them from a pipeline."""

from __future__ import annotations

from typing import Any

from diffusers.loaders import TextualInversionLoaderMixin


def expand_prompt(tokenizer: Any, prompt: str) -> str:
    """``prompt`` with all tokens of every multi-vector textual inversion written out.

    Pipelines do so before they tokenise: ``<t>`` becomes ``<t> <t>_1 <t>_2``.
    """
    # Only added tokens are expanded, and few prompts hold one.
    added = getattr(tokenizer, "added_tokens_encoder", {})
    if not any(token in prompt for token in added):
        return prompt
    (expanded,) = TextualInversionLoaderMixin().maybe_convert_prompt([prompt], tokenizer)
    return expanded


def unknown_words(tokenizer: Any, text: str) -> list[str]:
    """Parts of ``text`` that ``tokenizer`` has no token for, so that all of them read alike."""
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return []
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    pieces = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    found = (text[start:end].strip() for token, (start, end) in pieces if token == unknown)
    return list(dict.fromkeys(part for part in found if part))
