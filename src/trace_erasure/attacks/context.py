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

from trace_erasure.attacks.budget import Ledger
from trace_erasure.attacks.target import Case, Target
from trace_erasure.math.parameterization import NoisePoint
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.sampler import Schedule, sample, schedule, to_pictures, to_states
from trace_erasure.pipeline.text_encoders import Words, words


@dataclass(frozen=True)
class Try:
    """One picture to draw.

    Attributes:
        label: a prompt, or what was done, for the record.
        conditioning: one row.
        states: (1, …) where sampling begins; None is the case's own noise.
        plan: the schedule from there; None is the protocol's.
        noise_scale, adjust: see ``sampler.sample``.
        view: applied to the picture before the judge sees it.
    """

    label: str
    conditioning: Conditioning
    states: Tensor | None = None
    plan: Schedule | None = None
    noise_scale: float = 1.0
    adjust: Callable[[Tensor, NoisePoint], Tensor] | None = None
    view: Callable[[Image.Image], Image.Image] | None = None

    def alike(self, other: Try) -> bool:
        """Whether both can be drawn at once."""
        same_way = self.plan is other.plan and self.adjust is other.adjust
        return same_way and self.noise_scale == other.noise_scale


@dataclass
class Arena:
    """Where one attack meets one model. Adapters that are on make the model under attack.

    Attributes:
        steps, guidance: of every picture and of the original's.
        seed: of the attack's own choices.
        undo: context in which the original model answers.
        given: how many pictures of the concept the attacker has.
        batch: tries drawn at once. More than 1 only for attacks that leave the model as it is.
        autocast: draw in bfloat16 where the device gains by it; gradients stay as they are.
    """

    denoiser: Denoiser
    target: Target
    ledger: Ledger
    steps: int = 20
    guidance: float = 3.5
    seed: int = 0
    undo: Callable[[], AbstractContextManager[Any]] = nullcontext
    given: int = 4
    batch: int = 1
    autocast: bool = False

    def __post_init__(self) -> None:
        self.empty = self.denoiser.unconditional()
        self.plan = schedule(self.denoiser, self.steps)
        self._clean: dict[Any, Tensor] = {}

    def generator(self, case: Case) -> torch.Generator:
        """Randomness of the attack on ``case``, the same in whatever order cases are run."""
        digest = hashlib.sha256(f"{self.seed} {case.prompt} {case.seed}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))

    @cached_property
    def words(self) -> Words:
        """What a search may say: real words, without the forbidden ones."""
        return words(self.denoiser, self.target.forbidden)

    def noise(self, case: Case) -> Tensor:
        return self.denoiser.initial_states([case.seed])

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        """Embeddings, which the budget pays for."""
        self.ledger.spend("encodings", len(prompts))
        return self.denoiser.encode(prompts)

    def told(self, texts: Iterable[str]) -> Iterator[Try]:
        """A try for each of ``texts``, but for those that are too long for the model to read."""
        for text in texts:
            if self.denoiser.fits(text):
                yield Try(text, self.encode([text]))

    def concept_states(self, case: Case, count: int | None = None) -> Tensor:
        """Clean states of pictures that show the concept, (n, …): what the attacker is given.

        The original model's for the case's prompt, the case's own noise first; or the target's
        own pictures. Not charged to the budget.
        """
        count = self.given if count is None else count
        key = (case, count)
        if key not in self._clean:
            pictures = self.target.pictures
            if pictures is not None:
                first = case.seed % len(pictures)
                chosen = [pictures[(first + i) % len(pictures)] for i in range(count)]
                self._clean[key] = to_states(self.denoiser, chosen)
            else:
                seeds = [case.seed + 1_000_003 * i for i in range(count)]
                with self.undo(), self._precision():
                    own = self.denoiser.encode([case.prompt])
                    noise = self.denoiser.initial_states(seeds)
                    args = (self.denoiser, own, self.empty, noise, self.plan, self.guidance)
                    self._clean[key] = sample(*args)
        return self._clean[key]

    def draw(self, tries: Sequence[Try], case: Case) -> list[Image.Image]:
        """The pictures of tries that are ``alike``."""
        first, noise = tries[0], self.noise(case)
        with self._precision():
            final = sample(
                self.denoiser,
                Conditioning.cat([one.conditioning for one in tries]),
                self.empty,
                torch.cat([noise if one.states is None else one.states for one in tries]),
                self.plan if first.plan is None else first.plan,
                self.guidance,
                [torch.Generator().manual_seed(case.seed + 1) for _ in tries],
                noise_scale=first.noise_scale,
                adjust=first.adjust,
            )
            return to_pictures(self.denoiser, final.to(self.denoiser.dtype))

    def _precision(self) -> Any:
        kind = self.denoiser.device.type
        return torch.autocast(kind, torch.bfloat16) if self.autocast else nullcontext()


Attack = Callable[[Arena, Case], Iterator[Try]]
"""Generates tries for one case, until it knows no more or the budget is used up."""
