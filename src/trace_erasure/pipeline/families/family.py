"""The table of families: one row an architecture, nothing else branches on the model's type.

Modules of families import torch where they compute, so that the table can be listed without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from trace_erasure.pipeline.families import pictures
from trace_erasure.pipeline.families.conditioning import POOLED, TOKENS, Conditioning
from trace_erasure.pipeline.families.stream import Attention, Stream, TokenSegment

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "POOLED",
    "TOKENS",
    "Attention",
    "Conditioning",
    "Family",
    "Stream",
    "TokenSegment",
    "encoded",
    "labelled",
    "latent_shape",
]


def extrapolated(pipe: Any, unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
    """Plain classifier-free guidance."""
    from trace_erasure.math.parameterization import guide

    return guide(unconditional, conditional, scale)


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
        mixin: the diffusers class by which its pipelines load LoRA files; "" where they cannot, so
            that an erasure is passed on as a merged checkpoint.
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
        padding: what becomes of the positions behind a prompt. The network may hear what the text
            encoder says there (``heard``), hear it less than words (``weighed``), hear zeros
            (``zeros``), or not have them (``cut``). But for the first it tells how long a prompt
            is, and only prompts of as many tokens can be redirected exactly.
        guide: (pipe, unconditional, conditional, guidance scale) to the guided output.
        guided_by: (guidance scale, number of prompts) to the arguments by which the pipeline is
            guided so.
        options: further arguments of a call of the pipeline, with which it draws what is asked.
        to_latents: (pipe, states) to the latents that the VAE decodes.
        to_states: the inverse of ``to_latents``.
        decode: (pipe, latents) to pixels (n, 3, height, width) in -1..1.
        view: (pipe, pixels) to latents, without the encoder's noise.
        pictures: the pipeline's answer to its pictures.
        refuses: pipe to why it cannot be edited though its class is listed, or "".
    """

    name: str
    pipelines: tuple[str, ...]
    denoiser: str
    streams: tuple[Stream, ...]
    adapters: re.Pattern[str]
    attention: Attention
    lora_keys: str
    mixin: str
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
    padding: Literal["heard", "weighed", "zeros", "cut"] = "heard"
    guide: Callable[[Any, Tensor, Tensor, float], Tensor] = extrapolated
    guided_by: Callable[[float, int], dict[str, Any]] = lambda scale, count: {
        "guidance_scale": scale
    }
    options: Mapping[str, Any] = field(default_factory=dict)
    to_latents: Callable[[Any, Tensor], Tensor] = pictures.unscaled
    to_states: Callable[[Any, Tensor], Tensor] = pictures.scaled
    decode: Callable[[Any, Tensor], Tensor] = pictures.decoded
    view: Callable[[Any, Tensor], Tensor] = pictures.viewed
    pictures: Callable[[Any], list[Any]] = pictures.images
    refuses: Callable[[Any], str] = lambda pipe: ""

    def stream(self, name: str) -> Stream:
        """The stream called ``name``. Raises ``KeyError`` where the family has none."""
        return {stream.name: stream for stream in self.streams}[name]

    @property
    def hears_padding(self) -> bool:
        """Whether what the text encoder says behind a prompt is among the columns."""
        return self.padding in ("heard", "weighed")

    def network(self, pipe: Any) -> nn.Module:
        """The denoising network of ``pipe``."""
        return getattr(pipe, self.denoiser)

    def call_options(self, pipe: Any) -> dict[str, Any]:
        """Options of a call of ``pipe`` with which it encodes prompts as ``encode`` does."""
        found = [p for stream in self.streams for p in stream.segments if p.longest is not None]
        asked = {p.asked: p.length(pipe) for p in found[:1] if p.asked}
        return {**asked, **self.options}

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
