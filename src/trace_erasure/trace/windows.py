"""Windows of noise levels, tried by perfect steering: what would be left of the concept."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.concepts.steered_prompts import SteeredPrompts
from trace_erasure.config import FinetuneConfig
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.rollouts import trajectory_seeds
from trace_erasure.trace.evidence import Scale, evidence
from trace_erasure.trace.oracle import Steering, steered_rollout

log = logging.getLogger("trace_erasure")

PICTURES = 8
SEED_OFFSET = 70_000
"""Distance of the seeds of tried pictures from those of trajectories."""
LOWEST = 0.5
"""Below this noise level a window holds nothing but texture, and is not tried."""
NOWHERE, EVERYWHERE = 0.0, 1.0


@dataclass(frozen=True)
class Window:
    """What perfect steering at and below a noise level leaves of the concept.

    Attributes:
        noise_level: τ; 0 steers nowhere.
        left: share of pictures that show the concept by the model's own evidence.
        pictures: (n, …) their final states; equal seeds in every window.
    """

    noise_level: float
    left: float
    pictures: Tensor


class Oracle:
    """Perfect steering of a few pictures, and the model's own evidence on them.

    Args:
        denoiser: the frozen teacher, with all adapters off.
        prompts: what is steered, in turn over the pictures.
        settings: objective, η, and the sampler's.
        seed: of the pictures.
        count: of the pictures.

    Attributes:
        prompts: of the pictures.
        scale: evidence where the concept is surely absent, and where it is surely shown.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        prompts: SteeredPrompts,
        settings: FinetuneConfig,
        seed: int,
        count: int = PICTURES,
    ) -> None:
        self.denoiser, self.settings, self.seed = denoiser, settings, seed
        self.seeds = trajectory_seeds(seed, count, SEED_OFFSET)
        rows = len(prompts.state)
        row = torch.arange(count) * max(1, rows // count) % rows  # spread over all of them
        state, concept, surrogate = (
            denoiser.encode(asked)[row]
            for asked in (prompts.state, prompts.concept, prompts.surrogate)
        )
        self.steering = Steering(
            state,
            concept,
            surrogate,
            denoiser.unconditional(),
            settings.objective_name,
            settings.strength,
            prompts.implied,
        )
        self.prompts = tuple(prompts.state[i] for i in row.tolist())
        self.named = concept
        # What accounts for a picture without the concept: the scene, or the same wording with the
        # surrogate. The empty prompt would lose by the wording alone.
        self.unnamed = state if prompts.implied else surrogate
        everywhere = self._steered(EVERYWHERE)
        with_it = self._drawn(self.named)
        self.scale = Scale.of(self._evidence(everywhere), self._evidence(with_it))

    def at(self, noise_level: float) -> Window:
        """The window up to ``noise_level``."""
        pictures = self._steered(noise_level)
        left = (self.scale.share(self._evidence(pictures)) > 0.5).float().mean()
        return Window(noise_level, float(left), pictures)

    def smallest(self) -> Window | None:
        """The smallest window that leaves nothing of the concept; None where none does.

        Levels are the sampler's own.
        """
        levels = self.denoiser.noise_levels(
            self.denoiser.timesteps(self.settings.sampler_steps).cpu()
        )
        for level in sorted(level for level in levels.tolist() if level >= LOWEST):
            window = self.at(level)
            log.info("oracle at noise level %.2f: %.0f %% left", level, 100 * window.left)
            if window.left == 0:
                return window
        return None

    def _drawn(self, prompts: Conditioning) -> Tensor:
        settings = self.settings
        with torch.no_grad():
            return self.denoiser.rollout(
                prompts,
                self.steering.empty,
                self.seeds,
                steps=settings.sampler_steps,
                guidance=settings.guidance_scale,
            )

    def _steered(self, noise_level: float) -> Tensor:
        settings = self.settings
        return steered_rollout(
            self.denoiser,
            self.steering,
            self.seeds,
            torch.full((len(self.seeds),), noise_level),
            steps=settings.sampler_steps,
            guidance=settings.guidance_scale,
        )

    def _evidence(self, pictures: Tensor) -> Tensor:
        return evidence(
            self.denoiser,
            pictures,
            self.named,
            self.unnamed,
            seed=self.seed,
            guidance=self.settings.guidance_scale,
        )


def presence(
    oracle: Oracle, clean: Tensor, scene: Tensor, prompts: SteeredPrompts
) -> tuple[Tensor, Tensor]:
    """How much of each picture is a concept, by the model's own evidence, and which concept.

    Args:
        oracle: whose scale is used.
        clean: (n, …) final states of trajectories.
        scene: (n,) the state prompt of each, as an index into ``prompts.scenes``.

    Returns:
        (n,) from 0 to 1, and (n,) the row of ``prompts`` whose concept is the most present.
    """
    denoiser = oracle.denoiser
    named, state = denoiser.encode(prompts.concept), denoiser.encode(prompts.state)
    count = len(prompts.state) // len(prompts.scenes)
    found = []
    for i in range(count):
        row = scene * count + i
        told = oracle.settings.guidance_scale
        both = named[row], state[row]
        found.append(evidence(denoiser, clean, *both, seed=oracle.seed, guidance=told))
    most, which = torch.stack(found).max(0)
    if oracle.scale.tells:
        shares = oracle.scale.share(most)
    else:
        shares = torch.ones(len(clean))
        log.warning(
            "the model does not tell pictures with the concept from those without it under %s; "
            "all their states are steered",
            ", ".join(map(repr, prompts.scenes)),
        )
    return shares, scene * count + which
