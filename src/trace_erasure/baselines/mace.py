"""MACE: a closed form on the words around a concept, a LoRA on its attention, and a fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from trace_erasure.baselines.attention_hooks import record_attention
from trace_erasure.baselines.base import (
    Baseline,
    BaselineContext,
    Change,
    refuse_joint,
    surrogate_of,
)
from trace_erasure.baselines.closed_form_common import change_of
from trace_erasure.baselines.lora_fusion import fuse_loras
from trace_erasure.baselines.trainable import lora
from trace_erasure.concepts import candidates
from trace_erasure.concepts.alignment import concept_columns, join, locate
from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.math import closed_form as algebra
from trace_erasure.math.attention_maps import masked_norm
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import TOKENS
from trace_erasure.pipeline.rollouts import trajectory_seeds
from trace_erasure.trace.training import Terms, TrainingConfig, train

CLOSED, ADAPTER = "mace_closed", "mace_lora"
MASK_STEPS = (200, 400, 600, 800)
"""Training timesteps of 1000 at which the difference between concept and surrogate is looked at."""


def density(steps: int) -> Tensor:
    """The published density of training timesteps, (steps,): mostly 200 to 400 of 1000.

    σ(0.05 (t − 200)) − σ(0.05 (t − 400)), normalised.
    """
    t = 1000 / steps * torch.arange(steps, dtype=torch.float64)
    weight = torch.sigmoid(0.05 * (t - 200)) - torch.sigmoid(0.05 * (t - 400))
    return weight / weight.sum()


def difference_mask(concept: Tensor, surrogate: Tensor) -> Tensor:
    """Where two predictions differ more than on average, (n, h, w) of 0 and 1.

    Args:
        concept, surrogate: (levels, n, c, h, w) predictions at the same states; every level
            counts the same.
    """
    energy = (concept - surrogate).square().mean(2)
    energy = (energy / energy.mean((-2, -1), keepdim=True).clamp(min=1e-12)).mean(0)
    return (energy > energy.mean((-2, -1), keepdim=True)).float()


def at_positions(mask: Tensor, positions: int) -> Tensor:
    """A mask (n, h, w) for a layer whose image has ``positions``, (n, positions).

    A coarser position is inside where any pixel of it is.
    """
    n, height, width = mask.shape
    rows = max(1, round(height * (positions / (height * width)) ** 0.5))
    return F.adaptive_max_pool2d(mask[:, None], (rows, positions // rows)).reshape(n, positions)


@dataclass(frozen=True)
class Pictures:
    """What the LoRA of one concept trains on.

    Attributes:
        clean: (n, c, h, w) latents of pictures by the frozen model.
        prompts: of each.
        mask: (n, h, w) where the concept is.
        columns: (n, positions) the concept's tokens, EOS and padding of each prompt.
    """

    clean: Tensor
    prompts: list[str]
    mask: Tensor
    columns: Tensor


@dataclass(frozen=True)
class MACE(Baseline):
    """Mass Concept Erasure (Lu et al., CVPR 2024) on cross-attention, ε and v.

    1. Closed form: the keys and values of the words around the concept, of EOS and of the padding
       become those of the surrogate's prompts; the concept's own tokens are left out.
    2. For each concept a LoRA on keys and values, which minimises Σ_layers ‖A‖₂: the attention of
       the image's positions inside a mask to the concept's tokens, EOS and padding.
    3. Fusion of the LoRAs into one change, see ``math.baseline_edits.fuse``.

    Attributes:
        penalty: λ of the closed form and of the fusion, over an embedding's mean squared entry.
            Published for objects: 10 (bird), 100 (car), 1000 (ship).
        ordinary: weight of the second moment of ordinary language in both; 0 for objects.
        rank, steps, learning_rate, weight_decay, clip: of the LoRA of one concept. Published for
            people and styles: a learning rate of 1e-4.
        pictures, sampler_steps, guidance_scale: of the pictures that it trains on.
        importance: whether timesteps follow ``density``; else they are uniform.

    Family: those without cross-attention on the prompt itself are refused; in joint attention
    past the first layer neither closed form has inputs that the prompt alone decides.

    What differs from the released code:

    - masks are difference maps: where the frozen model's predictions with the concept and with the
      surrogate differ more than on average, over four timesteps. The released code runs
      Grounded-SAM, a second and larger network. Styles have no mask in either;
    - pictures need no decoding and none of its normalisation by ImageNet's mean, which the
      autoencoder does not expect: they stay latents;
    - the weight of ordinary language counts once, on a second moment per token; the released
      code multiplies by it twice in the closed form and sums over 600,000 captions, so that its
      numbers do not carry over. λ is relative, see ``UCE``;
    - any number of concepts is solved together, without the chunks that drop some of them;
    - the solves are in float64 and in the form of a change, low-rank throughout;
    - synonyms are trained in turns with the phrase, in one LoRA.
    """

    NAME: ClassVar[str] = "mace"
    SOURCE: ClassVar[str] = "arXiv 2403.06135"

    penalty: float = 100.0
    ordinary: float = 0.0
    rank: int = 1
    steps: int = 50
    learning_rate: float = 1e-5
    weight_decay: float = 0.01
    clip: float = 1.0
    pictures: int = 8
    sampler_steps: int = 30
    guidance_scale: float = 7.5
    importance: bool = True

    def check(self, denoiser: Denoiser) -> None:
        refuse_joint(denoiser, "MACE")

    def solve(self, context: BaselineContext) -> Change:
        denoiser = context.denoiser
        closed = self._closed_form(context)
        pictures = [self._draw(context, concept) for concept in context.concepts]
        changes, losses = [], []
        adapters.attach(denoiser, closed, CLOSED)
        try:
            for i, (concept, drawn) in enumerate(zip(context.concepts, pictures, strict=True)):
                change, history = self._train(context, concept, drawn, i)
                changes.append(change)
                losses += history[-1:]
        finally:
            adapters.detach(denoiser, CLOSED)
        one = fuse_loras(context, changes, penalty=self.penalty, ordinary=self.ordinary)
        return Change(closed, one, {"final_losses": losses})

    def _closed_form(self, context: BaselineContext) -> dict[str, LowRank]:
        denoiser = context.denoiser
        columns = join(
            [
                concept_columns(denoiser, concept.wordings(), surrogate_of(concept))
                for concept in context.concepts
            ]
        )
        columns = columns.select(torch.tensor([role != "concept" for role in columns.roles]))
        edit = algebra.ridge(
            columns.concept,
            columns.surrogate,
            second_moment(denoiser, context.captions),
            penalty=self.penalty,
            preserve=self.ordinary,
        )
        return change_of(denoiser, TOKENS, edit)

    @torch.no_grad()
    def _draw(self, context: BaselineContext, concept: ResolvedConcept) -> Pictures:
        """Latents of the concept by the frozen model, and where in them it is."""
        denoiser, frame = context.denoiser, candidates.PROBE_TEMPLATES[concept.kind]
        turns = [concept.phrases[i % len(concept.phrases)] for i in range(self.pictures)]
        prompts = [fill_template(frame, phrase) for phrase in turns]
        seeds = trajectory_seeds(context.seed, self.pictures)
        named = denoiser.encode(prompts)
        other = denoiser.encode([fill_template(frame, surrogate_of(concept))] * self.pictures)
        with denoiser.without_adapters():
            clean = denoiser.rollout(
                named,
                denoiser.unconditional(),
                seeds,
                steps=self.sampler_steps,
                guidance=self.guidance_scale,
            )
            mask = torch.ones(len(clean), *clean.shape[-2:])
            if concept.kind != "style":
                generator = torch.Generator().manual_seed(context.seed)
                noise = torch.randn(clean.shape, generator=generator).to(clean)
                count = denoiser.pipe.scheduler.config.num_train_timesteps
                times = [torch.tensor(t * count // 1000) for t in MASK_STEPS]
                states = [denoiser.noise_point(t).join(clean, noise)[0].to(clean) for t in times]
                seen = [
                    torch.stack(
                        [
                            denoiser.predict(x, t, conditioning).float()
                            for x, t in zip(states, times, strict=True)
                        ]
                    )
                    for conditioning in (named, other)
                ]
                mask = difference_mask(*seen)
        (tokenizer, length), *_ = denoiser.segments()
        columns = torch.zeros(len(prompts), length)
        for row, prompt, phrase in zip(columns, prompts, turns, strict=True):
            span = locate(tokenizer, prompt, phrase, length)
            row[span.concept] = 1
            row[span.eos :] = 1
        return Pictures(clean, prompts, mask, columns)

    def _train(
        self, context: BaselineContext, concept: ResolvedConcept, pictures: Pictures, number: int
    ) -> tuple[dict[str, LowRank], list[float]]:
        """The LoRA of one concept, on top of the closed form."""
        denoiser = context.denoiser
        conditioning = denoiser.encode(pictures.prompts)
        count = denoiser.pipe.scheduler.config.num_train_timesteps
        chances = density(count) if self.importance else torch.ones(count, dtype=torch.float64)

        def losses(_: int, generator: torch.Generator) -> Terms:
            i = torch.randint(len(pictures.clean), (1,), generator=generator)
            t = torch.multinomial(chances, 1, generator=generator)
            clean = pictures.clean[i]
            noise = torch.randn(clean.shape, generator=generator).to(clean)
            state = denoiser.noise_point(t).expand(clean).join(clean, noise)[0]
            with record_attention(denoiser) as maps:
                denoiser.predict(state.to(clean), t, conditioning[i])
            norms = [
                masked_norm(
                    attention,
                    at_positions(pictures.mask[i], attention.shape[2]).to(attention),
                    pictures.columns[i].to(attention),
                )
                for attention in maps.values()
            ]
            return {"attention": torch.stack(norms).sum()}

        layers = denoiser.family.adapters
        init_std, seed = 1 / self.rank, context.seed + number
        with lora(denoiser, layers, self.rank, seed, name=ADAPTER, init_std=init_std) as change:
            history = train(
                change.parameters,
                losses,
                TrainingConfig(
                    self.steps,
                    self.learning_rate,
                    {"attention": 1.0},
                    self.weight_decay,
                    self.clip,
                ),
                seed=seed,
                label=f"mace {concept.phrase}",
                checkpoint=context.checkpoint_of(str(number)),
            )
            return change.delta(), history
