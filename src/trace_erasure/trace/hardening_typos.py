"""Hardening against typos and repetitions of a concept's name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from trace_erasure.concepts.alignment import Columns, concept_columns
from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.concepts.typos import typos_by_position
from trace_erasure.pipeline.denoiser import Denoiser

REPEATED = ("{x} {x}", "{x}, {x}", "{x} and {x}", "{x} {x} {x}")


def caption_words(captions: Iterable[str]) -> set[str]:
    """All words of ``captions``, in lower case."""
    return {word for text in captions for word in re.findall(r"\w+", text.lower())}


def typo_columns(
    denoiser: Denoiser, concept: ResolvedConcept, words: set[str], stream: str
) -> tuple[Columns, ...]:
    """Columns of ``concept``, which names its surrogate, mistyped and repeated.

    One set for each letter that is mistyped, and one for repetitions. Typos take the concept's
    sentences in turn. Empty for a concept that is erased beside another thing only.

    Args:
        words: words with another meaning, which are left out; so is every word of one token.
    """
    if concept.only_with is not None:
        return ()
    sentences = concept.sentences
    groups = [
        [(sentences[i % len(sentences)], text) for i, text in enumerate(part)]
        for part in (
            [text for text in made if not _is_known_word(denoiser, concept.phrase, text, words)]
            for made in typos_by_position(concept.phrase)
        )
    ]
    groups.append([(template, concept.phrase) for template in REPEATED])
    found = [concept_columns(denoiser, part, concept.surrogate, stream) for part in groups if part]
    return tuple(columns.select(columns.moved) for columns in found)


def _is_known_word(denoiser: Denoiser, phrase: str, text: str, words: set[str]) -> bool:
    """Whether the typo is another word, one of ``words`` or a single token."""
    before = phrase.lower().split()
    new = [word for word in text.lower().split() if word not in before]
    tokenizers = [tokenizer for tokenizer, _ in denoiser.segments() if tokenizer is not None]
    return any(
        word in words or any(len(tokenizer.tokenize(word)) == 1 for tokenizer in tokenizers)
        for word in new
    )
