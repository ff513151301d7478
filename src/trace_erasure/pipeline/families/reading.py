"""Tokenizers as a text encoder gets prompts: inside a chat template, an instruction, lower case."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from transformers import BatchEncoding

MARK = "\ufffc"
"""Stands for the prompt while its place in a template is looked up."""
Template = Callable[[str], str]
"""A prompt to the text that the tokenizer gets."""


class Reader:
    """A tokenizer that puts prompts into a template, and answers as if it had not.

    Offsets count the prompt's own characters. Tokens of the template have the empty offset (0, 0),
    as BOS and EOS have with other tokenizers. Without special tokens there is no template, and a
    text is read as within a sentence, after a space. Everything else is the tokenizer's own.

    Attributes:
        wrap: the prompt in its template.
        shift: how much later a token stands in the text encoder's input than among ``input_ids``.
    """

    def __init__(
        self,
        tokenizer: Any,
        wrap: Template,
        *,
        first: int = 0,
        skipped: int = 0,
        multiple: int = 1,
        special: bool = True,
    ) -> None:
        """Reads as a pipeline does that drops tokens of its template.

        Args:
            first: tokens at the start that it keeps.
            skipped: tokens from the start that it drops, but for the ``first``.
            multiple: it pads on the left to a multiple of this many tokens.
            special: whether the tokenizer adds its special tokens to the template.
        """
        self.tokenizer, self.wrap = tokenizer, wrap
        self.first, self.skipped, self.multiple = first, skipped, multiple
        self.special = special
        self.start = wrap(MARK).index(MARK)
        self.shift = skipped - first if skipped else 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)

    def __call__(
        self, text: str | list[str], *, add_special_tokens: bool = True, **options: Any
    ) -> BatchEncoding:
        prompts = [text] if isinstance(text, str) else text
        if not add_special_tokens:
            within = [f" {prompt}" for prompt in prompts]
            return _as_asked(
                text, dict(self.tokenizer(within, add_special_tokens=False, **options))
            )
        wrapped = [self.wrap(prompt) for prompt in prompts]
        found = dict(self.tokenizer(wrapped, add_special_tokens=self.special, **options))
        if "offset_mapping" in found:
            rows = zip(prompts, found["offset_mapping"], strict=True)
            found["offset_mapping"] = [
                [self._within(prompt, a, b) for a, b in offsets] for prompt, offsets in rows
            ]
        padding = {"input_ids": self.tokenizer.pad_token_id, "offset_mapping": (0, 0)}
        for name, rows in found.items():
            found[name] = [self._kept(row, padding.get(name, 1)) for row in rows]
        return _as_asked(text, found)

    def _kept(self, row: list[Any], padding: Any) -> list[Any]:
        """Of one value a token, those of the tokens that the network gets."""
        kept = [*row[: self.first], *row[self.skipped :]] if self.skipped else row
        return [padding] * (-len(kept) % self.multiple) + kept

    def _within(self, prompt: str, a: int, b: int) -> tuple[int, int]:
        """Characters a to b of the wrapped text as characters of ``prompt``."""
        begin, end = max(a - self.start, 0), min(b - self.start, len(prompt))
        return (begin, end) if begin < end else (0, 0)


def _as_asked(text: str | list[str], found: dict[str, Any]) -> BatchEncoding:
    """One row for one text, rows for a list of them."""
    from transformers import BatchEncoding  # heavy: reading an artifact does without it

    if isinstance(text, str):
        found = {name: row for name, (row,) in found.items()}
    return BatchEncoding(found)


def chat(tokenizer: Any, thinking: bool) -> Template:
    """A prompt as one message of the user, up to where the model would begin to answer."""

    def wrap(prompt: str) -> str:
        return tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=thinking,
        )

    return wrap


def padded_on_the_right(tokenizer: Any) -> Any:
    """``tokenizer``, for networks that hear padding. Raises ``InputError`` where it comes first."""
    if tokenizer.padding_side != "right":
        raise InputError(
            "the tokenizer pads on the left, where tokens have no fixed position. "
            "Set pipe.tokenizer.padding_side = 'right', if the model was trained so."
        )
    return tokenizer
