"""Prompts with free tokens: real words that a search may use, and soft ones in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning, TokenSegment
from trace_erasure.utils.words import mentions

PLACEHOLDER = "a"
WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class Encoder:
    """One text encoder of a pipeline: its tokenizer, and the table of its token embeddings."""

    tokenizer: Any
    model: nn.Module

    @property
    def table(self) -> Tensor:
        return self.model.get_input_embeddings().weight  # type: ignore[operator]

    @property
    def layers(self) -> list[nn.Embedding]:
        """The layers that look the table up; T5 has it under two names."""
        pointer = self.table.data_ptr()
        return [
            module
            for module in self.model.modules()
            if isinstance(module, nn.Embedding) and module.weight.data_ptr() == pointer
        ]

    def ids(self, text: str) -> list[int]:
        """Tokens of ``text`` without the special ones."""
        return self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids

    def positions(self, text: str, start: int, end: int) -> list[int]:
        """Positions in the encoder's input of the tokens that overlap characters start to end."""
        offsets = self.tokenizer(text, return_offsets_mapping=True, verbose=False)["offset_mapping"]
        found = [i for i, (a, b) in enumerate(offsets) if b > a and a < end and b > start]
        shift = getattr(self.tokenizer, "shift", 0)
        return [i + shift for i in found]


def encoders(denoiser: Denoiser) -> list[Encoder]:
    """The text encoders that a pipeline was loaded with, by diffusers' own naming."""
    pipe = denoiser.pipe
    # Only tokenizers that fill positions of their own can read prompts in another way.
    readers = {p.tokenizer: p for stream in denoiser.family.streams for p in stream.segments}
    found = []
    for suffix in ("", "_2", "_3"):
        model = getattr(pipe, f"text_encoder{suffix}", None)
        if model is not None:
            name = f"tokenizer{suffix}"
            own = readers.get(name, TokenSegment(name))
            found.append(Encoder(own.read(pipe), model))
    return found


@dataclass(frozen=True)
class Words:
    """Words that are one token in every tokenizer of a pipeline, so that strings of them are
    sequences of tokens and survive being typed.

    Attributes:
        words: (n,) in the first tokenizer's order.
        ids: for each encoder, (n,).
    """

    words: tuple[str, ...]
    ids: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.words)

    def text(self, index: Sequence[int] | Tensor) -> str:
        return " ".join(self.words[int(i)] for i in index)

    def tables(self, found: Sequence[Encoder]) -> list[Tensor]:
        """For each encoder the embeddings of the words, (n, width), detached."""
        return [e.table.detach()[ids] for e, ids in zip(found, self.ids, strict=True)]


def words(denoiser: Denoiser, forbidden: Sequence[str] = ()) -> Words:
    """All usable words of the vocabulary, without those that mention a forbidden phrase.

    Raises ``InputError`` where none is left.
    """
    found = encoders(denoiser)
    vocabulary = found[0].tokenizer.get_vocab()
    plain = {
        re.sub(r"^[▁Ġ]|</w>$", "", token): i for token, i in vocabulary.items() if _whole(token)
    }
    names = [word for word in sorted(plain, key=lambda w: plain[w]) if WORD.fullmatch(word)]
    parts = {part.lower() for phrase in forbidden for part in phrase.split()}
    names = [w for w in names if w not in parts and not mentions(w, list(forbidden))]
    columns = [e.tokenizer(names, add_special_tokens=False).input_ids for e in found]
    rows = list(zip(names, *columns, strict=True))
    kept = [(word, *ids) for word, *ids in rows if all(len(one) == 1 for one in ids)]
    if not kept:
        raise InputError(
            "no word is a single token in every tokenizer of this pipeline, so that there is "
            "nothing to search over. Attacks on soft tokens still run."
        )
    ids = torch.tensor([[one[0] for one in tokens] for _, *tokens in kept])
    return Words(tuple(word for word, *_ in kept), tuple(ids.T))


def _whole(token: str) -> bool:
    """Whether a token is a word by itself, as CLIP, T5 or byte-level tokenizers spell it."""
    return token.endswith("</w>") or token.startswith(("▁", "Ġ"))


@contextmanager
def _substituted(layer: nn.Embedding, positions: Sequence[int], rows: Tensor) -> Iterator[None]:
    """Within it ``layer`` gives ``rows`` (k, width) at ``positions``, whatever token is there."""

    def replace(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        index = torch.tensor(list(positions), device=output.device)
        update = rows.to(output).expand(len(output), -1, -1)
        return output.index_copy(1, index, update)

    handle = layer.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def encode_soft(
    denoiser: Denoiser, soft: Sequence[Tensor], before: str = "", after: str = ""
) -> Conditioning:
    """The embeddings of ``before`` + k free tokens + ``after``, with gradients to the free ones.

    Args:
        soft: for each encoder the embeddings of its free tokens, (k, width).
    """
    found = encoders(denoiser)
    count = len(soft[0])
    middle = " ".join([PLACEHOLDER] * count)
    start = len(before) + 1 if before else 0
    text = " ".join(part for part in (before, middle, after) if part)
    denoiser.check_length([text])
    stack = []
    try:
        for encoder, rows in zip(found, soft, strict=True):
            positions = encoder.positions(text, start, start + len(middle))
            for layer in encoder.layers:
                context = _substituted(layer, positions[:count], rows)
                context.__enter__()
                stack.append(context)
        with torch.enable_grad():
            return denoiser.family.encode(denoiser.pipe, [text])
    finally:
        for context in reversed(stack):
            context.__exit__(None, None, None)


def feature(conditioning: Conditioning) -> Tensor:
    """One vector a prompt, (n, width): the pooled one, or the last position, which in a causal
    encoder has seen all the others."""
    if conditioning.pooled is not None:
        return conditioning.pooled
    return conditioning.tokens[:, -1]
