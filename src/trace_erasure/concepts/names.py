"""Whether a name is what was meant: its spelling, its number, its kind, whether it is one thing."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from trace_erasure.concepts import relatives
from trace_erasure.concepts.candidates import caption_names
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.inflections import singular
from trace_erasure.concepts.kinds import listed_as, only_a_style
from trace_erasure.concepts.lexicon import load_lexicon
from trace_erasure.concepts.readings import parts_of
from trace_erasure.concepts.spelling import suggestions
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.utils.words import fold, words_in

log = logging.getLogger("trace_erasure")


@dataclass(frozen=True)
class Vocabulary:
    """What captions speak of.

    Attributes:
        captions: ordinary language.
        closed: whether the model knows no other words: a shipped model with its own captions.
    """

    captions: Sequence[str]
    closed: bool

    @cached_property
    def words(self) -> frozenset[str]:
        """Folded words."""
        return frozenset(word for text in self.captions for word in words_in(text))

    @cached_property
    def names(self) -> dict[str, frozenset[str]]:
        """Kind to folded names."""
        kinds = ("object", "style", "identity")
        return {k: frozenset(fold(name) for name in caption_names(self.captions, k)) for k in kinds}

    def knows(self, phrase: str) -> bool:
        """Whether the captions have every word of ``phrase``."""
        return self.words.issuperset(words_in(phrase))


def vocabulary(denoiser: Denoiser, captions: Sequence[str]) -> Vocabulary:
    """Of ``captions``, for this model."""
    own = denoiser.shipped is not None and tuple(captions) == captions_for(denoiser)
    return Vocabulary(captions, closed=own)


def as_meant(denoiser: Denoiser, concept: Concept, known: Vocabulary) -> Concept:
    """``concept`` in the singular, its name checked.

    A doubtful name is refused; where the surrogate is named, too, it is taken as it is written,
    with a warning.

    Raises:
        InputError: the name is misspelt, is two, is of another kind, or is nothing that the model
            can draw; the message says what to do.
    """
    concept = _one(concept, known)
    doubt = (
        _two_concepts(concept, known)
        or _other_kind(concept, known)
        or _misspelt(denoiser, concept, known)
        or _never_seen(concept, known)
    )
    if doubt and concept.surrogate is None:
        raise InputError(f"{doubt} If it is meant as it is written, name a surrogate, too.")
    if doubt:
        log.warning("%s It is erased as it is written.", doubt)
    return concept


def _one(concept: Concept, known: Vocabulary) -> Concept:
    """``foxes`` as ``fox``; not ``swords`` where the captions speak of those alone."""
    one = singular(concept.phrase) if listed_as(concept.kind) == "object" else None
    if one is None or (known.knows(concept.phrase) and not known.knows(one)):
        return concept
    log.info("%r is erased as %r, one and many alike", concept.phrase, one)
    others = tuple(word for word in concept.synonyms if fold(word) != fold(one))
    return replace(concept, phrase=one, synonyms=others)


def _two_concepts(concept: Concept, known: Vocabulary) -> str | None:
    phrase, lexicon = concept.phrase, load_lexicon
    parts = parts_of(phrase)
    if len(parts) < 2 or lexicon().is_noun(phrase):
        return None
    named = frozenset[str]().union(*known.names.values())

    def is_name(part: str) -> bool:
        noun = lexicon().is_noun(part) and lexicon().modifier(part) in (None, "adjective")
        return fold(part) in named or noun

    if not all(is_name(part) for part in parts):
        return None
    options = " ".join(f"--concept {shlex.quote(part)}" for part in parts)
    return (
        f"{phrase!r} is {len(parts)} concepts. Erase them one beside the other: {options}, or "
        f"erase(pipe, {parts!r})."
    )


def _other_kind(concept: Concept, known: Vocabulary) -> str | None:
    phrase, kind = concept.phrase, concept.kind
    own = listed_as(kind)
    elsewhere = [k for k, names in known.names.items() if fold(phrase) in names and k != own]
    if own == "object" and only_a_style(phrase):
        elsewhere.append("style")
    if not elsewhere or fold(phrase) in known.names[own]:
        return None
    other = elsewhere[0]
    called = {"object": "an object", "style": "a style", "identity": "a person"}[other]
    return (
        f"{phrase!r} is {called} here, and not of kind {kind!r}: --kind {other}, or "
        f"Concept({phrase!r}, kind={other!r})."
    )


def _misspelt(denoiser: Denoiser, concept: Concept, known: Vocabulary) -> str | None:
    if concept.kind == "identity":
        return None
    lexicon = load_lexicon()
    for word in words_in(concept.phrase):
        plain = word.isascii() and word.isalpha() and word in concept.phrase
        if not plain or word in known.words or word in lexicon or singular(word):
            continue
        if _is_one_token(denoiser, word):  # common enough to have a token of its own: a brand
            continue
        if near := suggestions(word, known.words):
            return f"{word!r} is in no list of words; did you mean {near[0]!r}?"
    return None


def _is_one_token(denoiser: Denoiser, word: str) -> bool:
    (tokenizer, _), *_ = denoiser.segments()
    return len(tokenizer(word, add_special_tokens=False).input_ids) == 1


def _never_seen(concept: Concept, known: Vocabulary) -> str | None:
    if not known.closed or known.knows(concept.phrase):
        return None
    near = [word for word in relatives.around(concept.phrase) if known.knows(word)]
    hint = "`trace-erasure ls concepts` lists what it draws."
    if near:
        hint = f"Did you mean {near[0]!r}?"
    return (
        f"this model was never shown {concept.phrase!r} and cannot draw it. Erasing it would only "
        f"harm other things. {hint}"
    )
