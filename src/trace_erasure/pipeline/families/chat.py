"""Tokenizers of chat models, which read a prompt inside their chat template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from transformers import BatchEncoding

MARK = "\ufffc"
"""Stands for the prompt while its place in the template is looked up."""


class Chat:
    """A tokenizer that wraps prompts as one message of the user, and answers as if it had not.

    Offsets count the prompt's own characters. Tokens of the template have the empty offset (0, 0),
    as BOS and EOS have with other tokenizers. Without special tokens there is no template, and a
    text is read as within a sentence, after a space. Everything else is the tokenizer's own.
    """

    def __init__(self, tokenizer: Any) -> None:
        if tokenizer.padding_side != "right":
            raise InputError(
                "the tokenizer pads on the left, where tokens have no fixed position. "
                "Set pipe.tokenizer.padding_side = 'right', if the model was trained so."
            )
        self.tokenizer = tokenizer
        self.start = self.wrap(MARK).index(MARK)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)

    def wrap(self, prompt: str) -> str:
        """``prompt`` in the template, up to where the model would begin to answer."""
        return self.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )

    def __call__(
        self, text: str | list[str], *, add_special_tokens: bool = True, **options: Any
    ) -> BatchEncoding:
        prompts = [text] if isinstance(text, str) else text
        if not add_special_tokens:
            within = [f" {prompt}" for prompt in prompts]
            return self._as_asked(text, dict(self.tokenizer(within, **options)))
        encoded = self.tokenizer([self.wrap(prompt) for prompt in prompts], **options)
        found = dict(encoded)
        if "offset_mapping" in found:
            rows = zip(prompts, found["offset_mapping"], strict=True)
            found["offset_mapping"] = [
                [self._within(prompt, a, b) for a, b in offsets] for prompt, offsets in rows
            ]
        return self._as_asked(text, found)

    def _as_asked(self, text: str | list[str], found: dict[str, Any]) -> BatchEncoding:
        """One row for one text, rows for a list of them."""
        from transformers import BatchEncoding  # heavy: reading an artifact does without it

        if isinstance(text, str):
            found = {name: row for name, (row,) in found.items()}

        return BatchEncoding(found)

    def _within(self, prompt: str, a: int, b: int) -> tuple[int, int]:
        """Characters a to b of the wrapped text as characters of ``prompt``."""
        begin, end = max(a - self.start, 0), min(b - self.start, len(prompt))
        return (begin, end) if begin < end else (0, 0)
