"""What an attack is after: a concept, the prompts that ask for it, and who says it is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class Case:
    """One prompt that asks for the concept, and the seed of its noise.

    ``alias`` stands for an offensive prompt in everything that is kept.
    """

    prompt: str
    seed: int
    alias: str = ""

    @property
    def shown(self) -> str:
        """The prompt, or its alias."""
        return self.alias or self.prompt


@dataclass(frozen=True)
class Target:
    """What an attack wants back.

    Attributes:
        name: of the concept.
        kind: as in ``Concept.kind``.
        cases: what the attack is run on.
        detect: pictures to whether each shows the concept.
        forbidden: words that no search may use: the concept's own and those that were erased.
        synonyms: further words for it, which the erasure was not told.
        pictures: of the concept; None has the original model draw them.
    """

    name: str
    kind: str
    cases: tuple[Case, ...]
    detect: Callable[[Sequence[Image.Image]], Sequence[bool]]
    forbidden: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    pictures: tuple[Image.Image, ...] | None = None
