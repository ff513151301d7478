"""What stage 2 steers: prompts whose pictures show a concept, and prompts that give a direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.concepts.resolve import prompt_pairs
from trace_erasure.concepts.templates import NAMED_IN
from trace_erasure.errors import InputError


@dataclass(frozen=True)
class SteeredPrompts:
    """Prompts of the same length, one place a steered prompt.

    Attributes:
        state: the trajectories' own prompts. The pictures show the concept, at least now and then.
        concept, surrogate: what gives the direction: prompts that name the concept, and the
            surrogate in its place. For a state that leaves the concept unnamed, the same scene
            with it.
    """

    state: tuple[str, ...]
    concept: tuple[str, ...]
    surrogate: tuple[str, ...]

    @property
    def implied(self) -> bool:
        """Whether the states' own prompts leave the concept unnamed."""
        return self.state != self.concept

    @property
    def scenes(self) -> tuple[str, ...]:
        """``state`` without repetition: each scene stands beside every concept in turn."""
        return tuple(dict.fromkeys(self.state))

    @classmethod
    def own(cls, concept: Sequence[str], surrogate: Sequence[str]) -> SteeredPrompts:
        """States of the prompts that name the concept themselves."""
        asked = tuple(concept)
        return cls(asked, asked, tuple(surrogate))


def steered_prompts(
    concepts: Sequence[ResolvedConcept], state_prompts: Sequence[str] = ()
) -> SteeredPrompts:
    """The concepts' own prompts, or where there are ``state_prompts`` each with each concept.

    Raises ``InputError`` for a state prompt that names a concept: it is one of its own.
    """
    if not state_prompts:
        asked, instead, _ = prompt_pairs(concepts)
        return SteeredPrompts.own(asked, instead)
    rows = []
    for prompt in state_prompts:
        for concept in concepts:
            if concept.is_mentioned_in(prompt):
                raise InputError(
                    f"the state prompt {prompt!r} names {concept.name!r}. Give prompts whose "
                    "pictures show the concept although no word names it, such as 'a kitchen'."
                )
            frame = NAMED_IN[concept.kind]
            named, instead = (
                fill_template(frame, phrase).replace("{y}", prompt)
                for phrase in (concept.phrase, concept.surrogate)
            )
            rows.append((prompt, named, instead))
    return SteeredPrompts(*zip(*rows, strict=True))
