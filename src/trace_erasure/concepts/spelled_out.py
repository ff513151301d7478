"""A name written letter by letter, which goes with the concept.

Few models have ever read a name so. What an encoder makes of it lies anywhere, also where the edit
of the name moves it towards the concept: without these an erased model may draw a fox for "a f o x"
where the original drew none.
"""

from __future__ import annotations

from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.pipeline.denoiser import Denoiser

SENTENCES = 2
"""Of the concept's own sentences, the barest, in which the letters stand."""
BETWEEN = (" ", "-")


def spelled_out(phrase: str) -> tuple[str, ...]:
    """The letters of ``phrase`` apart, and with hyphens; none where it has a single one.

    >>> spelled_out("fox"), spelled_out("red fox"), spelled_out("C")
    (('f o x', 'f-o-x'), ('r e d f o x', 'r-e-d-f-o-x'), ())
    """
    letters = [letter for letter in phrase if not letter.isspace()]
    return tuple(between.join(letters) for between in BETWEEN) if len(letters) > 1 else ()


def spelled_wordings(denoiser: Denoiser, concept: ResolvedConcept) -> list[tuple[str, str]]:
    """(template, letters) of every spelling of the concept's own phrase that fits the encoders.

    Empty for a concept that is erased beside another thing only.
    """
    if concept.only_with is not None:
        return []
    pairs = [
        (template, letters)
        for template in concept.sentences[:SENTENCES]
        for letters in spelled_out(concept.phrase)
    ]
    fits = denoiser.fitting([fill_template(*pair) for pair in pairs])
    return [pair for pair, fit in zip(pairs, fits, strict=True) if fit]
