"""The closed form of one text stream: what it redirects and what it keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trace_erasure.artifact.merge_statistics import StreamStatistics
from trace_erasure.concepts.alignment import Columns, empty_columns, join, keep_columns_each
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.concepts.stream_columns import StreamColumns, stream_columns
from trace_erasure.config import ClosedFormConfig
from trace_erasure.math.closed_form import leading_pairs, regularised
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.map_root import map_root
from trace_erasure.trace.gather_statistics import (
    named_columns,
    retained_factors,
    stream_statistics,
)
from trace_erasure.trace.hardening_search import searched_columns
from trace_erasure.trace.hardening_typos import typo_columns
from trace_erasure.trace.materials import Materials

SEARCHED = 4
"""Directions of the searched prompts that are redirected for each token segment."""
SHARED = 2
"""Most directions, for each token segment, of a name with ordinary words: *red* is held with other
nouns, and what leads less in "a red car" is mostly what "a red apple" has, too."""


@dataclass(frozen=True)
class HardeningPrompts:
    """What a hardened solve redirects beside the concepts' own sentences.

    Attributes:
        words: words with a meaning of their own, which are no typos of a concept.
        searched: for each concept, template to prompts that a search has found
            (``trace.hardening_search``).
    """

    words: set[str]
    searched: Sequence[Mapping[str, list[str]]]


@dataclass(frozen=True)
class LeadingColumns:
    """What leads in a concept's columns and in those of its descriptions.

    Attributes:
        concept, surrogate: (d, n), n few for hundreds.
        discarded: share of the energy of its columns that this leaves out.
    """

    concept: Tensor
    surrogate: Tensor
    discarded: float


@dataclass(frozen=True)
class ConceptSummary:
    """What the solve of a stream takes of one concept: few columns for hundreds.

    Attributes:
        statistics: as a joint solve with other artifacts takes them.
        before: (d, n) columns of the words before it.
        single_mention: (d, n) columns that must stay although they resemble it.
    """

    statistics: StreamStatistics
    before: Tensor
    single_mention: Tensor


@dataclass(frozen=True)
class StreamProblem:
    """The closed form of one stream of text, before it is solved.

    Attributes:
        stream: name of the stream; its embeddings have d numbers.
        segments: number of its token segments.
        weights: (out, d) of every map that reads it, by module path.
        second_moment: (d, d) Σ of ordinary embeddings, regularised.
        root: (r, d) G^½, root of the maps' Gram matrix.
        materials: the columns of each concept.
        summaries: of each concept.
        leading: of each concept; for an equality only.
        empty: (d, n) columns of the empty prompt.
        retained: retained prompt to its columns, (d, n).
        named: prompt to (d, n) columns of other names in the captions; for a ridge only.
    """

    stream: str
    segments: int
    weights: Mapping[str, Tensor]
    second_moment: Tensor
    root: Tensor
    materials: Materials
    summaries: Sequence[ConceptSummary]
    leading: Sequence[LeadingColumns]
    empty: Tensor
    retained: Mapping[str, Tensor]
    named: Mapping[str, Tensor]

    @property
    def redirected(self) -> Columns:
        """The columns C of all concepts and S of their surrogates."""
        return join([own.moved for own in self.materials])

    @property
    def statistics(self) -> list[StreamStatistics]:
        """Of each concept."""
        return [own.statistics for own in self.summaries]


def pose_problem(
    denoiser: Denoiser,
    concepts: Sequence[ResolvedConcept],
    retain: Sequence[str],
    settings: ClosedFormConfig,
    captions: Sequence[str] | None,
    stream: str,
    encoders: str,
    hardening: HardeningPrompts | None = None,
) -> StreamProblem:
    """Encodes everything that the closed form of ``stream`` depends on.

    Args:
        concepts: each with its surrogate named.
        retain: prompts to keep, beside the empty one.
        settings: with a mode.
        captions: ordinary language; None is the package's list.
        encoders: ``text_digest`` of the pipeline.
    """
    sigma = regularised(second_moment(denoiser, captions, stream, encoders), settings.ridge)
    root = map_root(denoiser, stream, len(sigma))
    segments = len(denoiser.segments(stream))
    exact = settings.directions is None

    def columns(i: int) -> StreamColumns:
        found = stream_columns(denoiser, concepts[i], stream, exact=exact)
        if hardening is None:
            return found
        return _hardened(denoiser, concepts[i], found, hardening, i, stream)

    materials = Materials(columns, len(concepts))
    each = settings.directions
    if each is not None:
        each = max(1, each // len(concepts)) * segments
    retained = keep_columns_each(denoiser, retain, stream)
    factors = retained_factors(retained, root)
    summaries, leading = [], []
    for concept, own in zip(concepts, materials, strict=True):
        # An exact solve has to stay exact among others, so it carries all of its columns.
        statistics = stream_statistics(denoiser, own, factors, stream, root, exact)
        summaries.append(ConceptSummary(statistics, own.before, own.single_mention))
        if settings.mode == "equality":
            count = _directions(concept, own, each, segments)
            leading.append(_leading_columns(own, root, count, segments))
    named: Mapping[str, Tensor] = {}
    if settings.mode != "equality":
        named = named_columns(denoiser, concepts, captions_for(denoiser, captions), stream, root)
    return StreamProblem(
        stream=stream,
        segments=segments,
        weights=denoiser.weights(stream, len(sigma)),
        second_moment=sigma,
        root=root,
        materials=materials,
        summaries=summaries,
        leading=leading,
        empty=empty_columns(denoiser, stream),
        retained=retained,
        named=named,
    )


def _directions(
    concept: ResolvedConcept, own: StreamColumns, each: int | None, segments: int
) -> int | None:
    """How many directions of ``concept`` move; fewer where its ordinary words are held."""
    shares = concept.only_with is None and own.single_mention.shape[1] > 0
    return min(each, SHARED * segments) if shares and each is not None else each


def _leading_columns(
    own: StreamColumns, root: Tensor, each: int | None, segments: int
) -> LeadingColumns:
    """C and S of the leading directions.

    ``each`` is how many of them its sentences have; None takes all their columns.
    """
    # Ordinary words stand in a description, so that only its leading direction may move.
    chosen = [(own.moved, each)]
    chosen += [(columns, segments) for columns in own.described]
    chosen += [(columns, SEARCHED * segments) for columns in own.adversarial]
    pairs = [
        leading_pairs(x.concept, x.surrogate, root, count, x.weights.sqrt()) for x, count in chosen
    ]
    c = torch.cat([concept for concept, _, _ in pairs], dim=1)
    s = torch.cat([surrogate for _, surrogate, _ in pairs], dim=1)
    return LeadingColumns(c, s, pairs[0][2])


def _hardened(
    denoiser: Denoiser,
    concept: ResolvedConcept,
    own: StreamColumns,
    hardening: HardeningPrompts,
    number: int,
    stream: str,
) -> StreamColumns:
    """Its columns with those of typos, repetitions and searched prompts."""
    typos = typo_columns(denoiser, concept, hardening.words, stream)
    searched = searched_columns(denoiser, concept, hardening.searched[number], stream)
    return replace(own, described=(*own.described, *typos), adversarial=searched)
