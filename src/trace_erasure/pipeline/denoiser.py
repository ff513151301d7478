"""A pipeline seen as a denoiser: prompts, states and noise levels, whatever the architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from trace_erasure.errors import InputError
from trace_erasure.math.parameterization import NoisePoint
from trace_erasure.pipeline.families.family import POOLED, TOKENS, Conditioning, Family
from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.pipeline.pooled_vectors import PooledVectors
from trace_erasure.pipeline.prompts import expand_prompt
from trace_erasure.pipeline.shipped import model_by_words
from trace_erasure.utils.cleanup import surely

EMPTY = ""


class GuidedPrediction(NamedTuple):
    """The network's output m under classifier-free guidance.

    Attributes:
        output: e₀ + w (e_p − e₀), like the states.
        unconditional, conditional: e₀ and e_p; None where guidance needs a single pass.
    """

    output: Tensor
    unconditional: Tensor | None = None
    conditional: Tensor | None = None


OnState = Callable[[Tensor, Tensor, GuidedPrediction], None]
"""Called with the states, their timestep and the prediction before each step of a rollout."""


class Denoiser:
    """Wraps a diffusers pipeline without changing or copying it.

    States are the latents that the pipeline's own scheduler moves; ``timesteps`` are the numbers
    that scheduler hands to the network; noise levels are σ/(α+σ) in 0..1.
    """

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        self.family: Family = family_of(pipe)
        self._pooled: PooledVectors | None = None
        # A sampler of our own, from the same noise schedule: deterministic, states x = α x₀ + σ ε,
        # and the user's scheduler keeps its settings.
        self.scheduler: Any
        config = pipe.scheduler.config
        if self.prediction != "flow":
            # Latents go beyond ±1, and not every scheduler's settings say so.
            self.scheduler = DDIMScheduler.from_config(config, clip_sample=False)
        elif "shift" in config:
            self.scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
        elif config.get("use_flow_sigmas", False):  # a solver of several steps, of the same flow
            self.scheduler = FlowMatchEulerDiscreteScheduler(
                config.num_train_timesteps, shift=config.flow_shift
            )
        else:
            raise InputError(
                f"{type(pipe.scheduler).__name__} does not say the schedule of a rectified flow. "
                "Use the FlowMatchEulerDiscreteScheduler that the model comes with."
            )

    @property
    def network(self) -> nn.Module:
        return self.family.network(self.pipe)

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the states; single modules may be kept in float32 (``_keep_in_fp32_modules``)."""
        network: Any = self.network
        return network.dtype

    @property
    def prediction(self) -> str:
        """One of ``math.parameterization.PREDICTIONS``."""
        if self.family.flow:
            return "flow"
        return getattr(self.pipe.scheduler.config, "prediction_type", "flow")

    @property
    def distilled(self) -> bool:
        """Whether guidance is built into the network: it never sees the empty prompt."""
        return self.family.distilled(self.pipe)

    @cached_property
    def shipped(self) -> str | None:
        """The shipped model whose words it reads, or None: see ``shipped.model_by_words``."""
        return model_by_words(self.pipe)

    # Where text enters --------------------------------------------------------------------

    def maps(self, stream: str = TOKENS) -> dict[str, nn.Linear]:
        """The layers that read a stream directly, by module path."""
        return self.family.linears(self.pipe, self.family.stream(stream).maps)

    def weights(self, stream: str, width: int) -> dict[str, Tensor]:
        """The weights with which ``maps`` read the ``width`` numbers of a stream, on the CPU."""
        maps = self.maps(stream)
        return {path: layer.weight.detach().cpu()[:, :width] for path, layer in maps.items()}

    def segments(self, stream: str = TOKENS) -> list[tuple[Any, int]]:
        """(tokenizer, positions) of each token segment; (None, 1) for the pooled vector.

        Segments whose text encoder the pipeline was loaded without are left out.
        """
        found = self.family.stream(stream).segments
        if not found:
            return [(None, 1)]
        present = [p for p in found if p.loaded(self.pipe)]
        return [(p.read(self.pipe), p.length(self.pipe)) for p in present]

    def parts(self, conditioning: Conditioning, stream: str = TOKENS) -> list[Tensor]:
        """What a stream carries, (n, positions, d) float64 on the CPU for each segment."""
        return self._parts(getattr(conditioning, stream), stream)

    def _parts(self, carried: Tensor, stream: str) -> list[Tensor]:
        row = self.family.stream(stream)
        values = row.columns(self.network, carried).detach().cpu().double()
        found = row.segments
        if not found:
            return [values[:, None]]
        parts = values.split([p.length(self.pipe) for p in found], dim=1)
        return [part for part, p in zip(parts, found, strict=True) if p.loaded(self.pipe)]

    def embeddings(self, prompts: Sequence[str], stream: str = TOKENS) -> list[Tensor]:
        """``parts`` of ``encode(prompts)``."""
        kept = self._pooled
        if stream == POOLED and kept is not None and (found := kept.of(prompts)) is not None:
            return self._parts(found, stream)
        conditioning = self.encode(prompts)
        if kept is not None and conditioning.pooled is not None:
            kept.keep(prompts, conditioning.pooled)
        return self.parts(conditioning, stream)

    @contextmanager
    def encoded_once(self) -> Iterator[None]:
        """Within it a prompt that was asked for its tokens is not encoded again for its pooled
        vector. The text encoders must not change meanwhile."""
        before, self._pooled = self._pooled, self._pooled or PooledVectors()
        try:
            yield
        finally:
            self._pooled = before

    # Prompts ------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, prompts: Sequence[str], batch: int = 64) -> Conditioning:
        """Embeddings of ``prompts``. Raises ``InputError`` for one beyond the token limit."""
        self.check_length(prompts)
        parts = [
            self.family.encode(self.pipe, list(prompts[i : i + batch]))
            for i in range(0, len(prompts), batch)
        ]
        return Conditioning.cat(parts)

    def check_length(self, prompts: Sequence[str]) -> None:
        """Raises ``InputError`` for a prompt beyond the token limit of some tokenizer."""
        for lengths, limit in self._lengths(prompts):
            for prompt, length in zip(prompts, lengths, strict=True):
                if length > limit:
                    raise InputError(
                        f"prompt of {length} tokens is beyond this model's limit of {limit}: "
                        f"{prompt[:80]!r}. Shorten it."
                    )

    def fitting(self, prompts: Sequence[str]) -> list[bool]:
        """For each prompt whether it is within the token limit of all tokenizers."""
        found = [True] * len(prompts)
        for lengths, limit in self._lengths(prompts):
            found = [ok and length <= limit for ok, length in zip(found, lengths, strict=True)]
        return found

    def fits(self, prompt: str) -> bool:
        """Whether ``prompt`` is within the token limit of all tokenizers."""
        return self.fitting([prompt])[0]

    def _lengths(self, prompts: Sequence[str]) -> Iterator[tuple[list[int], int]]:
        """Tokens of every prompt and the limit, for each tokenizer."""
        for tokenizer, limit in self.segments():
            texts = [expand_prompt(tokenizer, prompt) for prompt in prompts]
            ids = tokenizer(texts, verbose=False).input_ids if texts else []
            yield [len(one) for one in ids], limit

    @torch.no_grad()
    def unconditional(self) -> Conditioning:
        """What guidance subtracts: the empty prompt, or what the pipeline has in its place."""
        special = self.family.unconditional
        return self.encode([EMPTY]) if special is None else special(self.pipe)

    # Noise levels -------------------------------------------------------------------------

    def noise_point(self, timesteps: Tensor) -> NoisePoint:
        """The (α, σ, a, b) of scheduler timesteps."""
        timesteps = torch.as_tensor(timesteps)
        if self.prediction == "flow":
            sigma = timesteps.double() / self.scheduler.config.num_train_timesteps
            return NoisePoint.of("flow", 1 - sigma, sigma)
        signal = self.scheduler.alphas_cumprod.double()[timesteps.long().cpu()]
        return NoisePoint.of(self.prediction, signal.sqrt(), (1 - signal).sqrt())

    def noise_levels(self, timesteps: Tensor) -> Tensor:
        return self.noise_point(timesteps).noise_level

    def timesteps(self, steps: int) -> Tensor:
        """The sampler's own timesteps for ``steps`` at the model's own size, noisy to clean."""
        shape = self.family.state_shape(self.pipe, None, None)
        extra = self.family.schedule(self.pipe, steps, shape) if self.family.schedule else {}
        self.scheduler.set_timesteps(steps, device=self.device, **extra)
        return self.scheduler.timesteps

    # The network --------------------------------------------------------------------------

    def predict(
        self, states: Tensor, timesteps: Tensor, conditioning: Conditioning, guidance: float = 1.0
    ) -> Tensor:
        """The network's output m for a batch, like ``states`` (n, …).

        Args:
            timesteps: one number, or one for each state.
            conditioning: one row for each state.
            guidance: guidance scale, an input of networks with distilled guidance only.
        """
        timesteps = torch.as_tensor(timesteps, device=states.device).expand(len(states))
        if self.family.padding != "cut" or conditioning.lengths is None:
            return self.family.predict(self.pipe, states, timesteps, conditioning, guidance)
        # Prompts of one length at a time, so that no padding is there to be masked.
        rows, outputs = [], []
        for length in conditioning.lengths.unique().tolist():
            own = (conditioning.lengths == length).nonzero()[:, 0]
            rows.append(own)
            part = conditioning[own].cut(length)
            outputs.append(
                self.family.predict(self.pipe, states[own], timesteps[own], part, guidance)
            )
        return torch.cat(outputs)[torch.cat(rows).argsort()]

    def needs_unconditional(self, guidance: float) -> bool:
        """Whether this guidance scale takes a second pass, for the empty prompt."""
        return guidance != 1 and not self.distilled

    def predict_guided(
        self,
        states: Tensor,
        timesteps: Tensor,
        conditioning: Conditioning,
        empty: Conditioning,
        guidance: float,
    ) -> GuidedPrediction:
        """The network's output under classifier-free guidance (Ho and Salimans 2021).

        Both passes run as one batch. There is a single pass at guidance scale 1, and in networks
        with distilled guidance, which take the scale as an input.

        Args:
            conditioning: one row for each state, or one for all.
            empty: one row.
        """
        n = len(states)
        if len(conditioning) == 1:
            conditioning = conditioning[[0] * n]
        if not self.needs_unconditional(guidance):
            return GuidedPrediction(self.predict(states, timesteps, conditioning, guidance))
        both = Conditioning.cat([empty[[0] * n], conditioning])
        outputs = self.predict(torch.cat([states] * 2), timesteps, both)
        unconditional, conditional = outputs.chunk(2)
        output = self.family.guide(self.pipe, unconditional, conditional, guidance)
        return GuidedPrediction(output, unconditional, conditional)

    def initial_states(
        self, seeds: Sequence[int], height: int | None = None, width: int | None = None
    ) -> Tensor:
        """Starting noise, one generator a seed, so that a state never depends on its batch."""
        shape = self.family.state_shape(self.pipe, height, width)
        noise = [
            torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds
        ]
        return torch.stack(noise).to(self.device, self.dtype)

    @torch.no_grad()
    def rollout(
        self,
        conditioning: Conditioning,
        empty: Conditioning,
        seeds: Sequence[int],
        *,
        steps: int,
        guidance: float,
        on_state: OnState | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Final states (n, …) of the deterministic sampler of the model's own noise schedule.

        Args:
            conditioning: one row for each seed, or one for all.
            empty: one row, for ``predict_guided``.
            seeds: of the initial noise, one for each state.
            steps: number of sampler steps.
            guidance: guidance scale; 1 is unguided.
            on_state: called before every step.
            size: (height, width) in pixels; None is the model's own.
        """
        states = self.initial_states(seeds, *(size or ()))
        for timestep in self.timesteps(steps):
            prediction = self.predict_guided(states, timestep, conditioning, empty, guidance)
            if on_state is not None:
                on_state(states, timestep, prediction)
            states = self.scheduler.step(prediction.output, timestep, states, return_dict=False)[0]
        return states

    @contextmanager
    def without_adapters(self) -> Iterator[None]:
        """The frozen teacher: the same network with every adapter off."""
        layers = [
            module
            for module in self.network.modules()
            # A fused adapter is part of the weights; switched off, peft would take it out of them.
            if isinstance(module, BaseTunerLayer) and not (module.merged or module.disable_adapters)
        ]
        flags = [(parameter, parameter.requires_grad) for parameter in self.network.parameters()]

        def put_back() -> None:
            for layer in layers:
                layer.enable_adapters(True)
            for parameter, flag in flags:  # peft sets them as it switches
                parameter.requires_grad_(flag)

        try:
            for layer in layers:
                layer.enable_adapters(False)
            yield
        finally:
            surely(put_back)
