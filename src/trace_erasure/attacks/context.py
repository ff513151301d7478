"""Where attacks meet a model: what they can draw, encode and be given there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from trace_erasure.attacks.budget import BudgetTracker
from trace_erasure.attacks.targets import AttackCase, Target
from trace_erasure.math.parameterization import NoisePoint
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.sampler import Schedule, sample, to_pictures, to_states
from trace_erasure.pipeline.sampler import schedule as sampling_schedule
from trace_erasure.pipeline.text_encoders import Words, words


@dataclass(frozen=True)
class Attempt:
    """One picture to draw.

    Attributes:
        label: a prompt, or what was done, for the record.
        conditioning: one row.
        states: (1, …) where sampling begins; None is the case's own noise.
        schedule: from there; None is the protocol's.
        noise_scale, adjust: see ``sampler.sample``.
        view: applied to the picture before it is judged.
    """

    label: str
    conditioning: Conditioning
    states: Tensor | None = None
    schedule: Schedule | None = None
    noise_scale: float = 1.0
    adjust: Callable[[Tensor, NoisePoint], Tensor] | None = None
    view: Callable[[Image.Image], Image.Image] | None = None

    def can_batch_with(self, other: Attempt) -> bool:
        """Whether both can be drawn at once."""
        same_way = self.schedule is other.schedule and self.adjust is other.adjust
        return same_way and self.noise_scale == other.noise_scale


@dataclass
class AttackContext:
    """Where one attack meets one model. Adapters that are on make the model under attack.

    Attributes:
        steps, guidance: of every picture and of the original's.
        seed: of the attack's own choices.
        original_model: context in which the original model answers.
        pictures_given: how many pictures of the concept the attacker has.
        batch: tries drawn at once. More than 1 only for attacks that leave the model as it is.
        autocast: draw in bfloat16 where the device gains by it; gradients stay as they are.
    """

    denoiser: Denoiser
    target: Target
    tracker: BudgetTracker
    steps: int = 20
    guidance: float = 3.5
    seed: int = 0
    original_model: Callable[[], AbstractContextManager[Any]] = nullcontext
    pictures_given: int = 4
    batch: int = 1
    autocast: bool = False

    def __post_init__(self) -> None:
        self.empty = self.denoiser.unconditional()
        self.schedule = sampling_schedule(self.denoiser, self.steps)
        self._clean: dict[Any, Tensor] = {}

    def generator(self, case: AttackCase) -> torch.Generator:
        """Randomness of the attack on ``case``, the same in whatever order cases are run."""
        digest = hashlib.sha256(f"{self.seed} {case.prompt} {case.seed}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))

    @cached_property
    def vocabulary(self) -> Words:
        """What a search may use: real words, without the forbidden ones."""
        return words(self.denoiser, self.target.forbidden)

    def noise(self, case: AttackCase) -> Tensor:
        return self.denoiser.initial_states([case.seed])

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        """Embeddings, which the budget pays for."""
        self.tracker.spend("encodings", len(prompts))
        return self.denoiser.encode(prompts)

    def attempts(self, texts: Iterable[str]) -> Iterator[Attempt]:
        """A try for each of ``texts``, but for those that are too long for the model to read."""
        for text in texts:
            if self.denoiser.fits(text):
                yield Attempt(text, self.encode([text]))

    def concept_states(self, case: AttackCase, count: int | None = None) -> Tensor:
        """Clean states of pictures that show the concept, (n, …): what the attacker is given.

        The original model's for the case's prompt, the case's own noise first; or the target's
        own pictures. Not charged to the budget.
        """
        count = self.pictures_given if count is None else count
        key = (case, count)
        if key not in self._clean:
            pictures = self.target.pictures
            if pictures is not None:
                first = case.seed % len(pictures)
                chosen = [pictures[(first + i) % len(pictures)] for i in range(count)]
                self._clean[key] = to_states(self.denoiser, chosen)
            else:
                seeds = [case.seed + 1_000_003 * i for i in range(count)]
                with self.original_model(), self._precision():
                    own = self.denoiser.encode([case.prompt])
                    noise = self.denoiser.initial_states(seeds)
                    args = (self.denoiser, own, self.empty, noise, self.schedule, self.guidance)
                    self._clean[key] = sample(*args)
        return self._clean[key]

    def draw(self, tries: Sequence[Attempt], case: AttackCase) -> list[Image.Image]:
        """The pictures of tries that are ``can_batch_with`` each other."""
        first, noise = tries[0], self.noise(case)
        with self._precision():
            final = sample(
                self.denoiser,
                Conditioning.cat([one.conditioning for one in tries]),
                self.empty,
                torch.cat([noise if one.states is None else one.states for one in tries]),
                self.schedule if first.schedule is None else first.schedule,
                self.guidance,
                [torch.Generator().manual_seed(case.seed + 1) for _ in tries],
                noise_scale=first.noise_scale,
                adjust=first.adjust,
            )
            return to_pictures(self.denoiser, final.to(self.denoiser.dtype))

    def _precision(self) -> Any:
        kind = self.denoiser.device.type
        return torch.autocast(kind, torch.bfloat16) if self.autocast else nullcontext()


Attack = Callable[[AttackContext, AttackCase], Iterator[Attempt]]
"""Generates tries for one case, until there are no more or the budget is used up."""
