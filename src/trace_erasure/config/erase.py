"""The settings of one erasure, as plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass

from trace_erasure.concepts.concept import Concept
from trace_erasure.config.checks import check
from trace_erasure.config.closed_form import ClosedFormConfig
from trace_erasure.config.finetune import FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.utils.arguments import check_kind
from trace_erasure.utils.numbers import check_seed
from trace_erasure.utils.words import fold

SEARCHES = ("words", "network")
HARDENING = ("off", "closed_form", "adversarial")


@dataclass(frozen=True)
class EraseConfig:
    """Everything that decides an erasure; the same spec and base give the same bytes.

    Attributes:
        concepts: what to erase.
        closed_form: stage 1, or None to leave it out.
        finetune: stage 2, or None to leave it out; then the certificate speaks of the result.
        seed: of every random choice.
        hardening: ``off``, ``closed_form`` or ``adversarial``. ``closed_form`` adds typos,
            repetitions and searched prompts to stage 1, and adversarial rounds. ``adversarial``
            also trains stage 2, by default with ``ADVERSARIAL_FINETUNE``, on the layers behind the
            text-facing maps, with stage 1 switched off and prompts perturbed to restore the
            concept.
        search: what is asked for synonyms, surrogates and names to retain: ``words``, the lexicon
            and the text encoder, or ``network``, what the network draws for each, in a few hundred
            passes.
    """

    concepts: tuple[Concept, ...]
    closed_form: ClosedFormConfig | None = ClosedFormConfig()  # noqa: RUF009  frozen
    finetune: FinetuneConfig | None = None
    seed: int = 0
    hardening: str = "off"
    search: str = "words"

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check(self.search in SEARCHES, "search", self.search, ", ".join(SEARCHES))
        check_kind("closed_form", self.closed_form, ClosedFormConfig, optional=True)
        check_kind("finetune", self.finetune, FinetuneConfig, optional=True)
        check(self.hardening in HARDENING, "hardening", self.hardening, ", ".join(HARDENING))
        if self.hardening != "off" and self.closed_form is None:
            raise InputError(f"hardening {self.hardening!r} needs stage 1. Keep closed_form.")
        _check_concepts(self.concepts)
        if self.closed_form is None and self.finetune is None:
            raise InputError(
                "both stages are switched off: nothing would be erased. Keep the closed form, or "
                "set finetune."
            )


def _check_concepts(concepts: tuple[Concept, ...]) -> None:
    """Raises ``InputError`` for no concept, one given twice, or one that is another's synonym."""
    listed = isinstance(concepts, tuple | list) and len(concepts) > 0
    check(listed, "concepts", concepts, "a list of at least one concept")
    for i, concept in enumerate(concepts):
        check(isinstance(concept, Concept), f"concepts[{i}]", concept, "Concept objects")
    seen: dict[tuple[str, ...], Concept] = {}
    for concept in concepts:
        other = seen.setdefault(concept.key, concept)
        if other is not concept:
            named = {one.surrogate for one in (concept, other) if one.surrogate}
            with_ = f", with the surrogates {sorted(named)}" if len(named) > 1 else ""
            raise InputError(f"{concept.name!r} is given twice{with_}. Give it once.")
    whole = [concept for concept in concepts if concept.only_with is None]
    for concept in whole:
        own = {fold(synonym): synonym for synonym in concept.synonyms}
        for other in whole:
            if other is not concept and fold(other.phrase) in own:
                raise InputError(
                    f"{other.phrase!r} is a concept by itself and a synonym of "
                    f"{concept.phrase!r}. Give it once."
                )
