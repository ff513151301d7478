"""Gathers the columns that a closed form needs of one concept in one stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.concepts.alignment import Columns, concept_columns, keep_columns
from trace_erasure.concepts.captions import that_fit
from trace_erasure.concepts.concept import (
    ResolvedConcept,
    fill_template,
    single_mention_prompts,
)
from trace_erasure.concepts.kinds import listed_as
from trace_erasure.concepts.shared_words import shared_prompts
from trace_erasure.concepts.spelled_out import spelled_wordings
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import TOKENS
from trace_erasure.utils.words import find_phrase


@dataclass(frozen=True)
class StreamColumns:
    """What a closed form needs of one concept in one stream.

    Attributes:
        moved: columns to redirect.
        before: (d, n) columns of the concept's sentences that stay: the words before it.
        single_mention: (d, n) columns of prompts that must stay although they resemble the
            concept: those that name one half of a concept that is erased in combination only, and
            those that share ordinary words with its name.
        described: columns of each description of the concept, most of which had better stay, and
            of its name spelled out.
        adversarial: the same of what an attacker would put in its place; see
            ``trace.hardening_search``.
    """

    moved: Columns
    before: Tensor
    single_mention: Tensor
    described: tuple[Columns, ...]
    adversarial: tuple[Columns, ...] = ()


def stream_columns(
    denoiser: Denoiser,
    concept: ResolvedConcept,
    stream: str = TOKENS,
    templates: Sequence[str] | None = None,
    *,
    exact: bool = False,
) -> StreamColumns:
    """The columns of ``concept`` in its sentences or ``templates``.

    Descriptions are put into its own sentences only.

    Args:
        exact: every column of a sentence is redirected, those of ordinary words in the name, too.

    Raises:
        InputError: the encoders read concept and surrogate alike, or a prompt does not fit.
    """
    wordings = concept.wordings(templates)
    held = concept.only_with is None and listed_as(concept.kind) == "object" and not exact
    columns = concept_columns(denoiser, wordings, concept.surrogate, stream, held)
    moved = columns.moved
    kept = columns.concept[:, :0]
    if staying := _staying_prompts(denoiser, concept, wordings, held):
        kept = keep_columns(denoiser, staying, stream)
        nearest = torch.cdist(columns.concept.mT, kept.mT).min(dim=1).values
        moved &= nearest > 1e-4 * columns.concept.norm(dim=0)
    if not moved.any():
        raise InputError(
            f"{concept.name!r} and its surrogate {concept.surrogate!r} have the same embeddings in "
            "this model: nothing would change. Choose another surrogate."
        )
    described = _described(denoiser, concept, stream) if templates is None else ()
    return StreamColumns(columns.select(moved), columns.concept[:, ~moved], kept, described)


def _described(denoiser: Denoiser, concept: ResolvedConcept, stream: str) -> tuple[Columns, ...]:
    """Columns of each description, and of the name spelled out."""
    groups = [concept.wordings(phrases=[text]) for text in concept.descriptions]
    groups.append(tuple(spelled_wordings(denoiser, concept)))
    found = [concept_columns(denoiser, own, concept.surrogate, stream) for own in groups if own]
    return tuple(columns.select(columns.moved) for columns in found)


def _staying_prompts(
    denoiser: Denoiser,
    concept: ResolvedConcept,
    wordings: Sequence[tuple[str, str]],
    held: bool,
) -> list[str]:
    """Prompts that must stay although they resemble the concept."""
    if concept.only_with is None:
        return list(that_fit(denoiser, shared_prompts(concept))) if held else []
    # Up to the later half, a sentence with both says nothing of the later half yet.
    halves = [concept.only_with, *concept.phrases]
    texts = [fill_template(template, phrase) for template, phrase in wordings]
    begun = [text[: _start_of_later(text, halves)] for text in texts]
    return [*single_mention_prompts(concept), *begun]


def _start_of_later(text: str, phrases: Sequence[str]) -> int:
    """Where the later of ``phrases`` first occurs in ``text``."""
    return max(spans[0][0] for phrase in phrases if (spans := find_phrase(text, phrase)))
