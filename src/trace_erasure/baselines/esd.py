"""ESD: finetune towards guidance turned round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from trace_erasure.baselines.base import Baseline, BaselineContext, Change
from trace_erasure.baselines.cached_rollouts import rollout_concepts
from trace_erasure.baselines.trainable import dense
from trace_erasure.errors import InputError
from trace_erasure.math.objectives import reverse_cfg
from trace_erasure.trace.training import Terms, TrainingConfig, draw_indices, train

SUBSETS = ("x", "u")


@dataclass(frozen=True)
class ESD(Baseline):
    """Erased Stable Diffusion (Gandikota et al., ICCV 2023), ε and flow.

    Minimises ‖e_θ(z, p) − [e_p − η(e_p − e_0)]‖² over all weights of a part of the network, at
    states of the frozen model's trajectories for the concept.

    Attributes:
        subset: ``x``: the layers on the text's side of attention; ``u``: all others of the blocks.
        negative_guidance: η in the convention of the released code, where the target is e_0 at 1.
            The paper's η is one less.
        steps, learning_rate, batch: of Adam.
        trajectories, sampler_steps, guidance_scale: of the rollouts.
        templates: whether the concept's sentences are prompts too, beside its bare phrases.

    Defaults are those of the 2025 code for Stable Diffusion 1; for SDXL it has η = 1 and a
    learning rate of 2e-4 (1e-5 for ``u``).

    What differs from the released code:

    - weights are trained in float32. The released default is bfloat16, in which steps of 5e-5 are
      smaller than the spacing of most weights, so that about three quarters of them never move;
      in float32 both erase alike;
    - states come from ``trajectories`` rollouts, kept with the frozen model's predictions, instead
      of a rollout of their own for every step: the model that makes them does not change, so that
      only the number of noise seeds differs;
    - linear layers inside the attention blocks only. ``u`` there includes convolutions, norms and
      the time embedding; a low-rank file that every loader reads cannot hold them;
    - rollouts are at the model's own size, where the released code has 1024 pixels for a model
      of 512;
    - several phrases and concepts are prompts in turn;
    - on flow families, for which no code was released, ``x`` is the text's side of the joint
      attention, and a network distilled from guidance is trained at guidance 1.
    """

    NAME: ClassVar[str] = "esd"
    SOURCE: ClassVar[str] = "arXiv 2303.07345"

    subset: str = "x"
    negative_guidance: float = 2.0
    steps: int = 200
    learning_rate: float = 5e-5
    batch: int = 1
    trajectories: int = 16
    sampler_steps: int = 50
    guidance_scale: float = 3.0
    templates: bool = False

    def __post_init__(self) -> None:
        if self.subset not in SUBSETS:
            raise InputError(f"subset is {self.subset!r}; allowed: {', '.join(SUBSETS)}.")

    def solve(self, context: BaselineContext) -> Change:
        denoiser = context.denoiser
        states = rollout_concepts(
            denoiser,
            context.prompts(context.concepts, self.templates),
            trajectories=self.trajectories,
            steps=self.sampler_steps,
            guidance_scale=self.guidance_scale,
            seed=context.seed,
        )
        everywhere = torch.arange(len(states.rollouts))

        def losses(_: int, generator: torch.Generator) -> Terms:
            i = draw_indices(everywhere, self.batch, generator)
            e, e_p, e_0 = denoiser.predict(*states.at(i)).float(), states.e_p[i], states.e_0[i]
            eta = self.negative_guidance - 1
            return {"erase": reverse_cfg(e, e_p, e_0, e_0, eta).mean()}

        attention = denoiser.family.attention
        layers = attention.text if self.subset == "x" else attention.image
        with dense(denoiser, layers) as change:
            history = train(
                change.parameters,
                losses,
                TrainingConfig(self.steps, self.learning_rate, {"erase": 1.0}),
                seed=context.seed,
                label=f"esd-{self.subset}",
                checkpoint=context.checkpoint_of("train"),
            )
            return Change(finetuned=change.delta(), figures={"final_loss": history[-1:]})
