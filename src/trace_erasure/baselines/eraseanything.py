"""EraseAnything: a LoRA on the text's queries and keys of a rectified flow, in two levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from trace_erasure.baselines.attention_hooks import record_attention
from trace_erasure.baselines.base import (
    Baseline,
    BaselineContext,
    Change,
    refuse_cross,
    surrogate_of,
)
from trace_erasure.baselines.cached_rollouts import ConceptRollouts, rollout_concepts
from trace_erasure.baselines.trainable import lora
from trace_erasure.concepts import candidates
from trace_erasure.concepts.alignment import locate
from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.math.attention_maps import reverse_contrast, row_norms
from trace_erasure.math.objectives import mean_square, reverse_cfg
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.rollouts import RETAIN_OFFSET, trajectory_seeds
from trace_erasure.trace.training import Terms, TrainingConfig, draw_indices, train
from trace_erasure.utils.words import mentions

ADAPTER = "eraseanything"
UNRELATED = 16
"""Words that a concept's attention map is contrasted with, a few at a time."""


def shuffled(prompt: str, phrase: str, random: Random) -> str:
    """``prompt`` with its words in another order; those of ``phrase`` stay together."""
    before, _, after = prompt.partition(phrase)
    words = [*before.split(), phrase, *after.split()]
    random.shuffle(words)
    return " ".join(words)


@dataclass(frozen=True)
class Wordings:
    """Ways to say something, with where in them it is said.

    Attributes:
        conditioning: n prompts.
        columns: (n, positions) 1 at the tokens of the phrase, over all token segments.
        concept: (n,) index of the concept that is meant.
    """

    conditioning: Conditioning
    columns: Tensor
    concept: Tensor

    def of(self, concept: int) -> Tensor:
        """The entries that mean ``concept``."""
        return (self.concept == concept).nonzero()[:, 0]


@dataclass(frozen=True)
class TrainingData:
    """Data that the LoRA is trained on.

    Attributes:
        states: of the concepts' trajectories, with targets.
        owner: (prompts of the states,) index of each one's concept.
        worded: varied wordings of the concepts.
        neighbours: wordings of their synonyms, or where there are none of themselves.
        others: wordings of unrelated words.
        clean: (n, …) latents of pictures to keep; retained: their prompts.
    """

    states: ConceptRollouts
    owner: Tensor
    worded: Wordings
    neighbours: Wordings
    others: Wordings
    clean: Tensor
    retained: Conditioning


def wordings_of(denoiser: Denoiser, said: Sequence[tuple[str, str, int]]) -> Wordings:
    """``Wordings`` of (prompt, phrase in it, index of the concept)."""
    rows = []
    for prompt, phrase, _ in said:
        parts = []
        for tokenizer, length in denoiser.segments():
            part = torch.zeros(length)
            part[locate(tokenizer, prompt, phrase, length).concept] = 1
            parts.append(part)
        rows.append(torch.cat(parts))
    conditioning = denoiser.encode([prompt for prompt, _, _ in said])
    # A segment whose text encoder is not loaded is zeros at the end.
    width = conditioning.tokens.shape[1]
    columns = torch.stack([F.pad(row, (0, width - len(row))) for row in rows])
    return Wordings(conditioning, columns, torch.tensor([concept for _, _, concept in said]))


def word_maps(attention: Tensor, columns: Tensor) -> Tensor:
    """Head 0's attention to the marked tokens, their mean, (batch, image positions)."""
    return (attention[:, 0] * columns[:, None]).sum(-1) / columns.sum(-1, keepdim=True)


@dataclass(frozen=True)
class EraseAnything(Baseline):
    """EraseAnything (Gao et al., ICML 2025), rectified flows only.

    Steps alternate between two levels. Even ones erase: the velocity for the concept is sent to
    v_0 − η(v_p − v_0), and the image's attention to the concept's tokens in the last joint block
    is made small. Odd ones preserve: flow matching on pictures to keep, and a contrast that moves
    the concept's attention map away from its synonyms' rather than from unrelated words'.

    Attributes:
        eta: η.
        erase_weight, attention, flow, contrast: weights of the four terms.
        temperature: τ of the contrast; irrelevant: K, its unrelated words.
        rank, steps, learning_rate, weight_decay: of the LoRA.
        guidance: guidance scale given to a distilled network in training.
        shuffle, replace: chance that a wording is shuffled, and that a synonym is put in.
        wordings: varied prompts to draw from.
        trajectories, sampler_steps, guidance_scale: of the rollouts.
        kept: pictures to keep.

    What differs from the released code:

    - the teacher is the frozen network. In the released code v_0 and v_p come from the network in
      training, whose fixed point is the empty prompt: nothing is turned round there;
    - rollouts denoise. The released scheduler replaces its timesteps and not its noise levels, so
      that states stay near pure noise, and fails after 35 rollouts. They are cached, see ``ESD``;
    - flow matching is on pictures of retained prompts, made by the frozen model. The released
      code has it on pictures of the concept, and so trains towards what it erases;
    - synonyms and unrelated words are those that TRACE finds, where the released code asks a
      paid service and WordNet; their maps are the frozen network's, and a concept without
      synonyms is compared with its own map there;
    - tokens are found by their place in the prompt and not by searching sub-tokens;
    - nothing but a low-rank change of the text's queries and keys is trained there and here:
      values and the pooled path stay open.
    """

    NAME: ClassVar[str] = "eraseanything"
    SOURCE: ClassVar[str] = "arXiv 2412.20413"

    eta: float = 1.0
    erase_weight: float = 1.0
    attention: float = 0.001
    flow: float = 0.1
    contrast: float = 0.1
    temperature: float = 0.07
    irrelevant: int = 3
    rank: int = 8
    steps: int = 200
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    guidance: float = 3.0
    shuffle: float = 0.9
    replace: float = 0.5
    wordings: int = 16
    trajectories: int = 16
    sampler_steps: int = 28
    guidance_scale: float = 3.5
    kept: int = 16

    def check(self, denoiser: Denoiser) -> None:
        refuse_cross(denoiser, "EraseAnything")

    def solve(self, context: BaselineContext) -> Change:
        data = self.prepare(context)
        weights = {
            "erase": self.erase_weight,
            "attention": self.attention,
            "flow": self.flow,
            "contrast": self.contrast,
        }
        with lora(
            context.denoiser,
            context.denoiser.family.attention.text_queries_keys,
            self.rank,
            context.seed,
            name=ADAPTER,
            init_std=1 / self.rank,
        ) as change:
            history = train(
                change.parameters,
                lambda step, generator: self.losses(context.denoiser, data, step, generator),
                TrainingConfig(self.steps, self.learning_rate, weights, self.weight_decay),
                seed=context.seed,
                label=self.NAME,
                checkpoint=context.checkpoint_of("train"),
            )
            return Change(finetuned=change.delta(), figures={"final_losses": history[-2:]})

    def prepare(self, context: BaselineContext) -> TrainingData:
        """Everything that the frozen network is asked for before training."""
        denoiser, random = context.denoiser, Random(context.seed)
        worded: list[tuple[str, str, int]] = []
        for i in range(self.wordings):
            number = i % len(context.concepts)
            concept = context.concepts[number]
            phrase = concept.phrase
            if concept.synonyms and random.random() < self.replace:
                phrase = random.choice(concept.synonyms)
            prompt = fill_template(random.choice(concept.sentences), phrase)
            if random.random() < self.shuffle:
                prompt = shuffled(prompt, phrase, random)
            worded.append((prompt, phrase, number))
        own, neighbours, others = [], [], []
        for number, concept in enumerate(context.concepts):
            frame = candidates.PROBE_TEMPLATES[concept.kind]
            own += [(fill_template(frame, phrase), phrase, number) for phrase in concept.phrases]
            synonyms = concept.synonyms or (concept.phrase,)
            neighbours += [(fill_template(frame, word), word, number) for word in synonyms]
            unrelated = self._unrelated(context, concept)
            words = random.sample(unrelated, min(UNRELATED, len(unrelated)))
            others += [(fill_template(frame, word), word, number) for word in words]
        states = rollout_concepts(
            denoiser,
            [prompt for prompt, _, _ in own],
            trajectories=self.trajectories,
            steps=self.sampler_steps,
            guidance_scale=self.guidance_scale,
            seed=context.seed,
            distilled_guidance=self.guidance,
        )
        retained = denoiser.encode(context.retained(self.kept))
        with denoiser.without_adapters():
            clean = denoiser.rollout(
                retained,
                states.empty,
                trajectory_seeds(context.seed, len(retained), RETAIN_OFFSET),
                steps=self.sampler_steps,
                guidance=self.guidance_scale,
            )
        return TrainingData(
            states,
            torch.tensor([number for _, _, number in own]),
            wordings_of(denoiser, worded),
            wordings_of(denoiser, neighbours),
            wordings_of(denoiser, others),
            clean,
            retained,
        )

    @staticmethod
    def _unrelated(context: BaselineContext, concept: ResolvedConcept) -> list[str]:
        """Names of the concept's kind that mean none of the concepts."""
        erased = [phrase for c in context.concepts for phrase in c.phrases]
        names = candidates.caption_names(context.captions, concept.kind)
        found = [name for name in names if not mentions(name, erased)]
        return found or [surrogate_of(concept)]

    def losses(
        self, denoiser: Denoiser, data: TrainingData, step: int, generator: torch.Generator
    ) -> Terms:
        """The two terms of an even or of an odd step, unweighted, at one random state."""
        bank, worded = data.states.rollouts, data.worded
        j = draw_indices(torch.arange(len(worded.concept)), 1, generator)
        concept = int(worded.concept[j])
        mine = (data.owner[bank.prompt] == concept).nonzero()[:, 0]
        i = draw_indices(mine, 1, generator)
        x, t = bank.states[i], bank.timesteps[i]
        wording, columns = worded.conditioning[j], worded.columns[j].to(x.device)
        with record_attention(denoiser) as maps:
            e = denoiser.predict(x, t, wording, self.guidance).float()
        seen = last_block_attention(maps)
        if step % 2 == 0:
            with denoiser.without_adapters(), torch.no_grad():
                e_p = denoiser.predict(x, t, wording, self.guidance).float()
            e_0 = data.states.e_0[i]
            return {
                "erase": reverse_cfg(e, e_p, e_0, e_0, self.eta).mean(),
                "attention": row_norms(seen, columns),
            }
        neighbour = draw_indices(data.neighbours.of(concept), 1, generator)
        rest = data.others.of(concept)
        rest = rest[torch.randperm(len(rest), generator=generator)[: self.irrelevant]]
        frozen = Conditioning.cat(
            [data.neighbours.conditioning[neighbour], data.others.conditioning[rest]]
        )
        marks = torch.cat([data.neighbours.columns[neighbour], data.others.columns[rest]]).to(
            x.device
        )
        n = len(frozen)
        with denoiser.without_adapters(), torch.no_grad(), record_attention(denoiser) as maps:
            denoiser.predict(x[[0] * n], t[[0] * n], frozen, self.guidance)
        fixed = word_maps(last_block_attention(maps), marks)
        own = word_maps(seen, columns)[0]
        k = draw_indices(torch.arange(len(data.clean)), 1, generator)
        clean = data.clean[k]
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        level = torch.rand(1, generator=generator, dtype=torch.float64)
        times = level * denoiser.pipe.scheduler.config.num_train_timesteps
        state, goal = denoiser.noise_point(times).expand(clean).join(clean, noise)
        kept = denoiser.predict(state.to(clean), times.to(clean), data.retained[k], self.guidance)
        return {
            "flow": mean_square(kept.float() - goal.float()).mean(),
            "contrast": reverse_contrast(fixed[0], own, fixed[1:], self.temperature),
        }


def last_block_attention(maps: dict[str, Tensor]) -> Tensor:
    """The attention of the last block that ran."""
    return list(maps.values())[-1]
