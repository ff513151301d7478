"""What stage 2 steers: prompts whose pictures show a concept, and prompts that give a direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trace_erasure.concepts.candidates import PROBE_TEMPLATES
from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.concepts.resolve import prompt_pairs
from trace_erasure.concepts.templates import NAMED_IN
from trace_erasure.errors import InputError


@dataclass(frozen=True)
class SteeredPrompts:
    """Prompts of the same length, one place a steered prompt.

    Attributes:
        state: the trajectories' own prompts. The pictures show the concept, at least now and then.
        concept, surrogate: prompts that name the concept, and the surrogate in its place: the
            direction, at whatever state.
        named: ``state`` with the concept named in it.
    """

    state: tuple[str, ...]
    concept: tuple[str, ...]
    surrogate: tuple[str, ...]
    named: tuple[str, ...]

    @property
    def implied(self) -> bool:
        """Whether the states' own prompts leave the concept unnamed."""
        return self.state != self.concept

    @classmethod
    def own(cls, concept: Sequence[str], surrogate: Sequence[str]) -> SteeredPrompts:
        """States of the prompts that name the concept themselves."""
        asked = tuple(concept)
        return cls(asked, asked, tuple(surrogate), asked)


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
            frame = PROBE_TEMPLATES[concept.kind]
            named = fill_template(NAMED_IN[concept.kind], concept.phrase)
            rows.append(
                (
                    prompt,
                    fill_template(frame, concept.phrase),
                    fill_template(frame, concept.surrogate),
                    named.replace("{y}", prompt),
                )
            )
    return SteeredPrompts(*zip(*rows, strict=True))
