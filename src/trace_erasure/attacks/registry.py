"""The table of attacks and probes."""

from __future__ import annotations

from dataclasses import dataclass

from trace_erasure.attacks.context import Attack
from trace_erasure.attacks.methods import (
    greedy_coordinate,
    p4d,
    random_tokens,
    textual_inversion,
    unlearn_diff,
)
from trace_erasure.attacks.methods.completion import completion
from trace_erasure.attacks.methods.composition import composition
from trace_erasure.attacks.methods.noise import best_of_noise
from trace_erasure.attacks.methods.relearn import relearn
from trace_erasure.attacks.methods.ring_a_bell import ring_a_bell
from trace_erasure.attacks.methods.soft_prompt import soft_prompt
from trace_erasure.attacks.methods.synonym import synonym
from trace_erasure.attacks.methods.through_pictures import image_to_image, inpainting
from trace_erasure.attacks.methods.wording import paraphrase, typo
from trace_erasure.concepts import prompt_search
from trace_erasure.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One attack.

    Attributes:
        run: the attack.
        about: what it does, for people.
        probe: it reaches beyond prompts, so that no edit of the text's entry can stop it.
        length: words that its control draws at random.
        keeps_prompt: whether they stand before the case's prompt or alone.
        images: pictures that it is defined by; None leaves them to the budget.
    """

    run: Attack
    about: str
    probe: bool = False
    length: int = 3
    keeps_prompt: bool = False
    images: int | None = None

    @property
    def control(self) -> Attack:
        """Random tokens of equal length."""
        return random_tokens.random_tokens(self.length, self.keeps_prompt)


ATTACKS: dict[str, Entry] = {
    "paraphrase": Entry(paraphrase, "other sentences around the concept's name"),
    "typo": Entry(typo, "the prompt with a slip of the fingers in the name"),
    "synonym": Entry(synonym, "other words for the concept that the erasure was not told"),
    "composition": Entry(composition, "beside another object, and in styles", length=6),
    "ring-a-bell": Entry(
        ring_a_bell,
        "real words whose text embedding has the concept's direction (Tsai et al. 2024)",
        length=prompt_search.LENGTH,
    ),
    "unlearn-diff": Entry(
        unlearn_diff.unlearn_diff,
        "a prefix found by the erased model's own denoising (Zhang et al. 2024)",
        length=unlearn_diff.LENGTH,
        keeps_prompt=True,
    ),
    "p4d": Entry(
        p4d.p4d,
        "words whose prediction is the original model's (Chin et al. 2024)",
        length=p4d.LENGTH,
    ),
    "greedy-coordinate": Entry(
        greedy_coordinate.greedy_coordinate,
        "words found one coordinate at a time, as in MMA-Diffusion (Yang et al. 2024)",
        length=greedy_coordinate.LENGTH,
    ),
    "textual-inversion": Entry(
        textual_inversion.textual_inversion,
        "a new token learned from pictures through the erased model (Pham et al. 2024)",
        length=1,
    ),
    "soft-prompt": Entry(soft_prompt, "free embeddings in place of all words", length=8),
    "image-to-image": Entry(image_to_image, "from a picture of the concept", probe=True),
    "inpainting": Entry(
        inpainting, "the middle of a picture of the concept drawn anew", probe=True
    ),
    "completion": Entry(
        completion, "the original model begins, the erased one finishes", probe=True
    ),
    "noise": Entry(best_of_noise, "stochastic samplers, the best of 24", probe=True, images=24),
    "relearn": Entry(relearn, "a LoRA trained on ten pictures of the concept", probe=True),
}


def find(name: str) -> Entry:
    """The attack called ``name``. Raises ``InputError`` naming the known ones."""
    if name not in ATTACKS:
        raise InputError(f"unknown attack {name!r}. Choose one of: {', '.join(ATTACKS)}.")
    return ATTACKS[name]
