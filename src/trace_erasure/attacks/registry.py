"""The table of attacks and probes: a new one is a file in ``attacks/methods`` and a row here.

The table names its functions, so that it can be listed without torch.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.attacks.context import Attack


@dataclass(frozen=True)
class AttackEntry:
    """One attack.

    Attributes:
        function: ``module.function`` in ``trace_erasure.attacks.methods``.
        description: what it does, for people.
        probe: it reaches beyond prompts, so that no edit of the text-facing maps can stop it.
        control_length: words that its control draws at random; None: the module's ``LENGTH``.
        keeps_prompt: whether they stand before the case's prompt or alone.
        images: pictures that it is defined by; None leaves them to the budget.
    """

    function: str
    description: str
    probe: bool = False
    control_length: int | None = 3
    keeps_prompt: bool = False
    images: int | None = None

    @property
    def run(self) -> Attack:
        """The attack."""
        module, name = self.function.split(".")
        return getattr(_method_module(module), name)

    @property
    def length(self) -> int:
        """How many words its control draws at random."""
        if self.control_length is not None:
            return self.control_length
        return _method_module(self.function.split(".")[0]).LENGTH

    @property
    def control(self) -> Attack:
        """Random words of equal number."""
        from trace_erasure.attacks.methods.random_tokens import random_tokens

        return random_tokens(self.length, self.keeps_prompt)


ATTACKS: dict[str, AttackEntry] = {
    "paraphrase": AttackEntry("paraphrase.paraphrase", "other sentences around the concept's name"),
    "typo": AttackEntry("typo.typo", "the prompt with a typing error in the name"),
    "synonym": AttackEntry(
        "synonym.synonym", "other words for the concept, which the erasure did not list"
    ),
    "composition": AttackEntry(
        "composition.composition", "beside another object, and in styles", control_length=6
    ),
    "ring-a-bell": AttackEntry(
        "ring_a_bell.ring_a_bell",
        "real words whose text embedding has the concept's direction (Tsai et al. 2024)",
        control_length=None,
    ),
    "unlearn-diff": AttackEntry(
        "unlearn_diff.unlearn_diff",
        "a prefix found by the erased model's own denoising (Zhang et al. 2024)",
        control_length=None,
        keeps_prompt=True,
    ),
    "p4d": AttackEntry(
        "p4d.p4d",
        "words whose prediction is the original model's (Chin et al. 2024)",
        control_length=None,
    ),
    "greedy-coordinate": AttackEntry(
        "greedy_coordinate.greedy_coordinate",
        "words found one coordinate at a time, as in MMA-Diffusion (Yang et al. 2024)",
        control_length=None,
    ),
    "textual-inversion": AttackEntry(
        "textual_inversion.textual_inversion",
        "a new token learned from pictures through the erased model (Pham et al. 2024)",
        control_length=1,
    ),
    "soft-prompt": AttackEntry(
        "soft_prompt.soft_prompt", "free embeddings in place of all words", control_length=8
    ),
    "image-to-image": AttackEntry(
        "through_pictures.image_to_image", "from a picture of the concept", probe=True
    ),
    "inpainting": AttackEntry(
        "through_pictures.inpainting",
        "the middle of a picture of the concept drawn anew",
        probe=True,
    ),
    "completion": AttackEntry(
        "completion.completion", "the original model begins, the erased one finishes", probe=True
    ),
    "noise": AttackEntry(
        "noise.best_of_noise", "stochastic samplers, the best of 24", probe=True, images=24
    ),
    "relearn": AttackEntry(
        "relearn.relearn", "a LoRA trained on ten pictures of the concept", probe=True
    ),
}


def attack_entry(name: str) -> AttackEntry:
    """The attack called ``name``. Raises ``InputError`` naming the known ones."""
    if name not in ATTACKS:
        raise InputError(f"unknown attack {name!r}. Choose one of: {', '.join(ATTACKS)}.")
    return ATTACKS[name]


def _method_module(name: str):
    return importlib.import_module(f"trace_erasure.attacks.methods.{name}")
