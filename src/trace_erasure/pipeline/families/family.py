"""The table of families: one row an architecture, nothing else branches on the model's type.

Modules of families import torch where they compute, so that the table can be listed without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

TOKENS, POOLED = "tokens", "pooled"


@dataclass(frozen=True)
class Conditioning:
    """What a prompt is to the denoiser.

    Attributes:
        tokens: (n, positions, width), one row a token, padding included.
        pooled: (n, pooled width), for families that have a pooled path.
    """

    tokens: Tensor
    pooled: Tensor | None = None

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def __getitem__(self, index: Any) -> Conditioning:
        return Conditioning(self.tokens[index], None if self.pooled is None else self.pooled[index])

    @staticmethod
    def cat(parts: list[Conditioning]) -> Conditioning:
        import torch

        pooled = [part.pooled for part in parts if part.pooled is not None]
        return Conditioning(
            torch.cat([part.tokens for part in parts]), torch.cat(pooled) if pooled else None
        )


@dataclass(frozen=True)
class TokenSegment:
    """Neighbouring positions of the token stream that one tokenizer fills, padding included.

    Attributes:
        tokenizer: the pipeline's attribute that holds it. Where two text encoders share the
            positions, their embeddings side by side, their tokenizers share one vocabulary.
        longest: the most positions that the pipeline asks for; None: the tokenizer's own limit.
        reader: the tokenizer to one that reads a prompt as the text encoder gets it, where the
            pipeline puts prompts into something, such as a chat template.
    """

    tokenizer: str = "tokenizer"
    longest: int | None = None
    reader: Callable[[Any], Any] | None = None

    def loaded(self, pipe: Any) -> bool:
        """Whether ``pipe`` has this text encoder; without it the positions are zeros."""
        return getattr(pipe, self.tokenizer) is not None

    def read(self, pipe: Any) -> Any:
        """The tokenizer of whole prompts; its offsets are characters of the prompt alone."""
        tokenizer = getattr(pipe, self.tokenizer)
        return tokenizer if self.reader is None else self.reader(tokenizer)

    def length(self, pipe: Any) -> int:
        """How many positions there are."""
        limits = [self.longest] if self.longest is not None else []
        if self.loaded(pipe):
            limits.append(getattr(pipe, self.tokenizer).model_max_length)
        return min(limits)


@dataclass(frozen=True)
class Stream:
    """One way by which a prompt enters the network.

    Attributes:
        name: the attribute of ``Conditioning`` that it carries, ``TOKENS`` or ``POOLED``.
        maps: pattern of the linear layers that read it directly. Their first input columns are
            its own; what they read besides, such as SDXL's image sizes, comes after.
        segments: of the token stream, in the order of positions.
    """

    name: str
    maps: re.Pattern[str]
    segments: tuple[TokenSegment, ...] = ()


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


def unscaled(pipe: Any, states: Tensor) -> Tensor:
    """The latents that the VAE decodes to pictures of ``states``, same shape."""
    config = pipe.vae.config
    return states / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)


def scaled(pipe: Any, latents: Tensor) -> Tensor:
    """The states of ``latents`` as the VAE encodes them, same shape."""
    config = pipe.vae.config
    return (latents - (getattr(config, "shift_factor", None) or 0.0)) * config.scaling_factor


@dataclass(frozen=True)
class Family:
    """How one architecture is addressed.

    Attributes:
        name: the field's name for it.
        pipelines: class names of diffusers pipelines that belong here.
        denoiser: the pipeline's attribute that holds the network.
        streams: every way by which text enters, tokens first.
        adapters: pattern of the layers that stage 2 trains by default.
        attention: where it attends to text.
        lora_keys: the key format of exported files, ``kohya`` or ``diffusers``.
        labels: (width of a token embedding or None, prediction type) to the header entries by
            which other tools tell the base model.
        encode: (pipe, prompts) to Conditioning.
        predict: (pipe, states, timesteps, Conditioning, guidance scale) to the network's output;
            only networks that are distilled from guidance read the scale.
        state_shape: (pipe, height, width) to the shape of one state.
        kohya_names: module paths whose name in kohya's format is not the path itself.
        flow: whether it always predicts a rectified flow; else the scheduler says what.
        distilled: pipe to whether guidance is built into the network, so that sampling never runs
            the empty prompt beside the prompt.
        unconditional: pipe to what guidance subtracts, where that is not the empty prompt.
        schedule: (pipe, steps, shape of a state) to further arguments of the scheduler's
            ``set_timesteps``.
        ordered: whether the network tells text positions apart, so that a redirect has to keep
            every position; else it sums over them and any bijection of them will do.
        bidirectional: whether a text encoder attends in both directions, so that every token of a
            sentence depends on the concept.
        to_latents: (pipe, states) to the latents that the VAE decodes.
        to_states: the inverse of ``to_latents``.
    """

    name: str
    pipelines: tuple[str, ...]
    denoiser: str
    streams: tuple[Stream, ...]
    adapters: re.Pattern[str]
    attention: Attention
    lora_keys: str
    labels: Callable[[int | None, str], dict[str, str]]
    encode: Callable[[Any, list[str]], Conditioning]
    predict: Callable[[Any, Tensor, Tensor, Conditioning, float], Tensor]
    state_shape: Callable[[Any, int | None, int | None], tuple[int, ...]]
    kohya_names: Mapping[str, str] = field(default_factory=dict)
    flow: bool = False
    distilled: Callable[[Any], bool] = lambda pipe: False
    unconditional: Callable[[Any], Conditioning] | None = None
    schedule: Callable[[Any, int, tuple[int, ...]], dict[str, Any]] | None = None
    ordered: bool = False
    bidirectional: bool = False
    to_latents: Callable[[Any, Tensor], Tensor] = unscaled
    to_states: Callable[[Any, Tensor], Tensor] = scaled

    def stream(self, name: str) -> Stream:
        """The stream called ``name``. Raises ``KeyError`` where the family has none."""
        return {stream.name: stream for stream in self.streams}[name]

    def network(self, pipe: Any) -> nn.Module:
        """The denoising network of ``pipe``."""
        return getattr(pipe, self.denoiser)

    def call_options(self, pipe: Any) -> dict[str, Any]:
        """Options of a call of ``pipe`` with which it encodes prompts as ``encode`` does."""
        found = [p for stream in self.streams for p in stream.segments if p.longest is not None]
        return {"max_sequence_length": found[0].length(pipe)} if found else {}

    def behind_text(self, pipe: Any) -> dict[str, nn.Linear]:
        """Linear layers of the blocks but the text-facing maps, which stage 1 edits: what sees a
        prompt through those maps only."""
        reading = {p for stream in self.streams for p in self.linears(pipe, stream.maps)}
        blocks = self.linears(pipe, self.attention.all)
        return {path: layer for path, layer in blocks.items() if path not in reading}

    def linears(self, pipe: Any, pattern: re.Pattern[str]) -> dict[str, nn.Linear]:
        """Linear layers of the network whose path matches, unwrapped from adapters, in order."""
        from torch import nn

        found: dict[str, nn.Linear] = {}
        for path, module in self.network(pipe).named_modules():
            if path.endswith(".base_layer"):
                path = path.removesuffix(".base_layer")
            elif hasattr(module, "base_layer"):
                continue
            if isinstance(module, nn.Linear) and pattern.fullmatch(path):
                found[path] = module
        return found


def encoded(pipe: Any, prompts: list[str], **options: Any) -> Conditioning:
    """``prompts`` by a pipeline that gives tokens and pooled vectors, each with their negatives."""
    tokens, _, pooled, _ = pipe.encode_prompt(
        prompts, device=pipe.device, do_classifier_free_guidance=False, **options
    )
    return Conditioning(tokens, pooled)


def labelled(architecture: str, kohya_base: str) -> Callable[[int | None, str], dict[str, str]]:
    """``Family.labels`` of a family that is always called the same."""
    entries = {
        "modelspec.architecture": f"{architecture}/lora",
        "ss_base_model_version": kohya_base,
    }
    return lambda width, prediction: dict(entries)


def latent_shape(
    pipe: Any, channels: int, side: int, height: int | None, width: int | None
) -> tuple[int, int, int]:
    """The shape of one latent for an image of ``height`` x ``width`` pixels, or by default of
    ``side`` x ``side`` latent pixels."""
    factor = pipe.vae_scale_factor
    return (channels, height // factor if height else side, width // factor if width else side)
