"""How a prompt enters a network: its streams, their tokenizers, where it is attended."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class TokenSegment:
    """Neighbouring positions of the token stream that one tokenizer fills, padding included.

    Attributes:
        tokenizer: the pipeline's attribute that holds it. Where two text encoders share the
            positions, their embeddings side by side, their tokenizers share one vocabulary.
        longest: the most positions that the pipeline asks for; None: the tokenizer's own limit.
        reader: the pipeline to a tokenizer that reads a prompt as the text encoder gets it, where
            prompts are put into something, such as a chat template.
        asked: the pipeline's argument for the number of positions; "" where it has none.
    """

    tokenizer: str = "tokenizer"
    longest: int | None = None
    reader: Callable[[Any], Any] | None = None
    asked: str = "max_sequence_length"

    def loaded(self, pipe: Any) -> bool:
        """Whether ``pipe`` has this text encoder; without it the positions are zeros."""
        return getattr(pipe, self.tokenizer) is not None

    def read(self, pipe: Any) -> Any:
        """The tokenizer of whole prompts; its offsets are characters of the prompt alone."""
        return getattr(pipe, self.tokenizer) if self.reader is None else self.reader(pipe)

    def length(self, pipe: Any) -> int:
        """How many positions there are."""
        limits = [self.longest] if self.longest is not None else []
        if self.loaded(pipe):
            limits.append(text_tokenizer(getattr(pipe, self.tokenizer)).model_max_length)
        return min(limits)


def text_tokenizer(processor: Any) -> Any:
    """The tokenizer of a processor of texts and images; a tokenizer is its own."""
    return getattr(processor, "tokenizer", processor)


@dataclass(frozen=True)
class Stream:
    """One way by which a prompt enters the network.

    Attributes:
        name: the attribute of ``Conditioning`` that it carries, ``TOKENS`` or ``POOLED``.
        maps: pattern of the linear layers that read it directly. Their first input columns are
            its own; what they read besides, such as SDXL's image sizes, comes after.
        segments: of the token stream, in the order of positions.
        before: path of a layer, such as a norm, that stands before the maps: they read its output.
    """

    name: str
    maps: re.Pattern[str]
    segments: tuple[TokenSegment, ...] = ()
    before: str = ""

    def columns(self, network: nn.Module, values: Tensor) -> Tensor:
        """What the maps read where the stream carries ``values``, same shape."""
        if not self.before:
            return values
        layer = network.get_submodule(self.before)
        return layer(values.to(next(layer.parameters()).device))


@dataclass(frozen=True)
class Attention:
    """Where the network attends to text, and which of its layers are on which side of it.

    Patterns match whole module paths. Layers inside the blocks only: what embeds the noise level
    or the image's size belongs to no side.

    Attributes:
        modules: the attention modules that read text.
        text: their linear layers; where text and image attend jointly, those on the text's side.
        image: every other linear layer of the blocks.
        text_queries_keys: of ``text``, the layers that give the text's queries and keys.
        values: the text-facing maps that give values; where a single layer feeds keys and values
            alike, that layer.
        joint: whether text and image attend jointly, so that past the first layer nothing reads
            the prompt alone; else the image attends to the prompt's own embeddings.
    """

    modules: re.Pattern[str]
    text: re.Pattern[str]
    image: re.Pattern[str]
    text_queries_keys: re.Pattern[str]
    values: re.Pattern[str]
    joint: bool

    @property
    def all(self) -> re.Pattern[str]:
        """The linear layers on both sides."""
        return re.compile(f"{self.text.pattern}|{self.image.pattern}")
