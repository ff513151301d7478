"""ANT: reverse guidance late, keep it early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trace_erasure.baselines.base import Baseline, BaselineContext, Change
from trace_erasure.baselines.cached_rollouts import ConceptRollouts, rollout_concepts
from trace_erasure.baselines.lora_fusion import fuse_loras
from trace_erasure.baselines.trainable import TrainableChange, dense, lora
from trace_erasure.concepts.concept import Concept
from trace_erasure.errors import InputError
from trace_erasure.math.objectives import mean_square, reverse_cfg
from trace_erasure.math.parameterization import guide
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import TOKENS, Conditioning
from trace_erasure.trace.training import Terms, TrainingConfig, draw_indices, train

ADAPTER = "ant_lora"


def losses(
    denoiser: Denoiser,
    states: ConceptRollouts,
    late: Tensor,
    early: Tensor,
    *,
    eta: float,
    guidance: float,
) -> Terms:
    """The four terms of ANT's loss, unweighted, at entries ``late`` and ``early`` of the states.

    With ê = e_0 + w(e_p − e_0) on both sides: ``reverse`` ‖ê_θ(z⁻,p) − [e_0 − η(ê_p − e_0)]‖²,
    ``keep`` ‖ê_θ(z⁺,p) − [e_0 + η(ê_p − e_0)]‖², and for each ‖e_θ(z,∅) − e_0‖².
    """
    index = torch.cat([late, early])
    x, t, concept = states.at(index)
    both = Conditioning.cat([concept, states.empty_at(index)])
    named, empty = denoiser.predict(torch.cat([x] * 2), torch.cat([t] * 2), both).float().chunk(2)
    e_0 = states.e_0[index]
    e_p = guide(e_0, states.e_p[index], guidance)
    e = guide(empty, named, guidance)
    void = mean_square(empty - e_0)
    n = len(late)
    return {
        "reverse": reverse_cfg(e[:n], e_p[:n], e_0[:n], e_0[:n], eta).mean(),
        "reverse_empty": void[:n].mean(),
        # Guidance turned round twice: the target is e_0 + η (e_p − e_0).
        "keep": reverse_cfg(e[n:], e_p[n:], e_0[n:], e_0[n:], -eta).mean(),
        "keep_empty": void[n:].mean(),
    }


@dataclass(frozen=True)
class _ANT(Baseline):
    """What both variants share: states, windows and weights.

    ``noise_level`` ends the late window, in which guidance is turned round.
    """

    SOURCE: ClassVar[str] = "arXiv 2504.12782"

    noise_level: float = 0.87
    eta: float = 1.0
    early: float = 1.0
    empty: float = 0.5
    guidance: float = 1.0
    steps: int = 250
    learning_rate: float = 5e-4
    batch: int = 1
    trajectories: int = 16
    sampler_steps: int = 50
    guidance_scale: float = 3.0
    templates: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.noise_level < 1:
            raise InputError(
                f"noise_level is {self.noise_level!r}; allowed: between 0 (clean) and 1 (noise)."
            )

    @property
    def weights(self) -> dict[str, float]:
        return {
            "reverse": 1.0,
            "reverse_empty": self.empty,
            "keep": self.early,
            "keep_empty": self.early * self.empty,
        }

    def states(self, context: BaselineContext, concepts: Sequence[Concept]) -> ConceptRollouts:
        """ConceptRollouts with both windows in them. Raises ``InputError`` where one is empty."""
        states = rollout_concepts(
            context.denoiser,
            context.prompts(concepts, self.templates),
            trajectories=self.trajectories,
            steps=self.sampler_steps,
            guidance_scale=self.guidance_scale,
            seed=context.seed,
        )
        levels = states.rollouts.noise_levels
        late = levels <= self.noise_level
        if not (late.any() and (~late).any()):
            raise InputError(
                f"no state of {self.sampler_steps} sampler steps is on one side of noise level "
                f"{self.noise_level}. Choose a level between {levels.min():.2f} and "
                f"{levels.max():.2f}."
            )
        return states

    def terms(
        self, context: BaselineContext, states: ConceptRollouts, generator: torch.Generator
    ) -> Terms:
        """The loss terms on a random batch from each window."""
        is_late = states.rollouts.noise_levels <= self.noise_level
        late = draw_indices(is_late.nonzero()[:, 0], self.batch, generator)
        early = draw_indices((~is_late).nonzero()[:, 0], self.batch, generator)
        return losses(context.denoiser, states, late, early, eta=self.eta, guidance=self.guidance)

    def fit(
        self,
        context: BaselineContext,
        change: TrainableChange,
        states: ConceptRollouts,
        part: str,
        masks: Mapping[str, Tensor] | None = None,
    ) -> list[float]:
        return train(
            change.parameters,
            lambda _, generator: self.terms(context, states, generator),
            TrainingConfig(self.steps, self.learning_rate, self.weights),
            seed=context.seed,
            label=f"{self.NAME} {part}",
            checkpoint=context.checkpoint_of(part),
            gradient_masks=masks,
        )


@dataclass(frozen=True)
class ANTSingle(_ANT):
    """ANT for one concept (Li et al., ACM MM 2025), ε and flow: a saliency mask on all weights.

    Late (noise level ≤ τ) the student's prediction for the concept is sent to the empty prompt's
    with guidance turned round; early it keeps the frozen model's; the empty prompt stays. Only
    the half of every weight's entries with the larger gradients is trained.

    Attributes:
        noise_level: τ. 0.87 is training timestep 860 of 1000, before which lie the first 7 of 50
            sampler steps.
        eta: η; early: γ; empty: β.
        guidance: w by which predictions are guided in the loss; 1: not at all.
        steps, learning_rate, batch: of Adam; ``batch`` counts states a window.
        trajectories, sampler_steps, guidance_scale: of the rollouts.
        templates: whether the concept's sentences are prompts too, beside its bare phrases.
        salient: share of every weight's entries that is trained; 1: all.
        saliency_steps: batches whose gradients decide, for each phrase.

    What differs from the released code, whose single variant does not run as shipped:

    - the time axis is the paper's: early steps are kept and late ones reversed. The shipped single
      variant counts steps from the clean end, and so does the opposite;
    - the mask keeps the *most* salient entries, as the paper says; the shipped code ranks
      ascending gradients and keeps the least salient half;
    - the term that holds the empty prompt has a gradient; in the shipped code it has none;
    - saliency is |gradient| of the loss at the frozen weights, summed over ``saliency_steps``
      batches for each phrase, and the phrases' masks intersected; the shipped code sums gradients
      along ten Adam steps for each of four fixed words and five seeds;
    - linear layers inside the attention blocks only, for the reason in ``ESD``;
    - states come from cached rollouts of the frozen model, as in ``ESD``.
    """

    NAME: ClassVar[str] = "ant-single"

    salient: float = 0.5
    saliency_steps: int = 10

    def solve(self, context: BaselineContext) -> Change:
        states = self.states(context, context.concepts)
        with dense(context.denoiser, context.denoiser.family.attention.all) as change:
            masks = self._masks(context, change, states) if self.salient < 1 else None
            history = self.fit(context, change, states, "train", masks)
            return Change(finetuned=change.delta(), figures={"final_loss": history[-1:]})

    def _masks(
        self, context: BaselineContext, change: TrainableChange, states: ConceptRollouts
    ) -> dict[str, Tensor]:
        """1 where a weight is among the salient for every phrase, by parameter."""
        parameters = list(change.parameters.values())
        masks = [torch.ones_like(parameter) for parameter in parameters]
        texts = context.prompts(context.concepts, self.templates)
        for number, said in enumerate(context.by_phrase(context.concepts, self.templates)):
            own = states.of_prompts([i for i, text in enumerate(texts) if text in said])
            if not len(own.rollouts):  # more phrases than trajectories
                continue
            sums = [torch.zeros_like(parameter) for parameter in parameters]
            for step in range(self.saliency_steps):
                generator = torch.Generator().manual_seed((context.seed + number) * 1_009 + step)
                terms = self.terms(context, own, generator)
                loss = torch.stack([self.weights[k] * v for k, v in terms.items()]).sum()
                gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
                for total, gradient in zip(sums, gradients, strict=True):
                    total += gradient.abs()
            for mask, total in zip(masks, sums, strict=True):
                mask *= largest_mask(total, self.salient)
        return dict(zip(change.parameters, masks, strict=True))


def largest_mask(values: Tensor, share: float) -> Tensor:
    """1 for the ``share`` of entries that are largest, 0 for the others."""
    count = max(1, round(share * values.numel()))
    mask = torch.zeros_like(values).flatten()
    mask[values.flatten().topk(count).indices] = 1
    return mask.view_as(values)


@dataclass(frozen=True)
class ANTMulti(_ANT):
    """ANT for many concepts (Li et al., ACM MM 2025), ε and flow: a LoRA a concept, then fusion.

    The loss is that of ``ANTSingle`` with guided predictions; the LoRAs are fused as MACE's are.

    Attributes:
        noise_level: τ. 0.90 is training timestep 920 of 1000, before which lie the first 4 of 50
            sampler steps.
        rank, alpha: of the LoRAs.
        lora_scale: factor on every LoRA before fusion. The published 4.3 makes up for alpha / rank
            = 1/64 and few steps.
        penalty, ordinary: λ and the weight of ordinary language in the fusion, see ``MACE``; 7 was
            published for art and 20 for celebrities.
        steps: a concept. Others as in ``ANTSingle``.

    What differs from the released code:

    - LoRAs are on the layers that read the prompt's tokens; the released one trains every layer,
      but the closed-form fusion has inputs that it knows for these alone, and keeps no others;
    - computation is in the model's own precision instead of bfloat16;
    - the weight of ordinary language counts once, on a second moment per token, see ``MACE``;
    - states come from cached rollouts of the frozen model, as in ``ESD``.
    """

    NAME: ClassVar[str] = "ant-multi"

    noise_level: float = 0.90
    early: float = 0.5
    empty: float = 2.5
    guidance: float = 7.5
    steps: int = 10
    batch: int = 2
    rank: int = 64
    alpha: float = 1.0
    lora_scale: float = 4.3
    penalty: float = 0.0
    ordinary: float = 20.0

    def solve(self, context: BaselineContext) -> Change:
        denoiser = context.denoiser
        changes, final = [], []
        for i, concept in enumerate(context.concepts):
            states = self.states(context, [concept])
            with lora(
                denoiser,
                denoiser.family.stream(TOKENS).maps,
                self.rank,
                context.seed + i,
                name=ADAPTER,
                scale=self.alpha / self.rank,
            ) as change:
                final += self.fit(context, change, states, str(i))[-1:]
                changes.append(
                    {path: x.scale(self.lora_scale) for path, x in change.delta().items()}
                )
        one = fuse_loras(context, changes, penalty=self.penalty, ordinary=self.ordinary)
        return Change(finetuned=one, figures={"final_losses": final})
