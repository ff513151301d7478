"""Statistics of one concept for a joint solve with others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from trace_erasure.artifact.merge_statistics import MergeStatistics, StreamStatistics
from trace_erasure.concepts.alignment import keep_columns_each
from trace_erasure.concepts.candidates import common_name_prompts
from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.concepts.stream_columns import StreamColumns, stream_columns
from trace_erasure.math.column_pairs import Pairs
from trace_erasure.math.subspaces import moment_factor
from trace_erasure.math.weighted_ridge import Preserved
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.pipeline.map_root import map_root

COLUMNS = 24
"""Directions of a concept's columns that are kept. With a causal text encoder the rest is rounding
error. With a bidirectional one the rest is what each sentence adds, and a ridge that leaves it
alone erases as much and changes other prompts less."""
BEFORE = 8
"""Directions kept of the words before a concept."""
HALVES = 32
"""Directions kept of what must stay although it resembles a concept."""
RETAINED = 2
"""Directions kept of each retained prompt."""


def gather_statistics(
    denoiser: Denoiser, concept: ResolvedConcept, retain: Sequence[str], roots: Mapping[str, Tensor]
) -> MergeStatistics:
    """What ``concept`` contributes to a joint solve; it names its surrogate.

    Args:
        retain: prompts to keep, as in ``closed_form_edit``.
        roots: G^½ of every stream that is edited, by its name.
    """
    with denoiser.encoded_once():
        streams = {
            stream: stream_statistics(
                denoiser,
                stream_columns(denoiser, concept, stream),
                retained_factors(keep_columns_each(denoiser, retain, stream), root),
                stream,
                root,
            )
            for stream, root in roots.items()
        }
    return MergeStatistics(concept, streams)


def stream_statistics(
    denoiser: Denoiser,
    own: StreamColumns,
    retained: Mapping[str, Tensor],
    stream: str,
    root: Tensor,
    exact: bool = False,
) -> StreamStatistics:
    """What one concept contributes to a joint solve of one stream.

    Args:
        own: the concept's columns.
        retained: of ``retained_factors``; concepts that are erased together may share it.
        root: (r, d) G^½.
        exact: keeps all of the concept's columns, and not the leading directions only.
    """
    moved, segments = own.moved, len(denoiser.segments(stream))
    total = moved.weights.sum()
    return StreamStatistics(
        Pairs.of(moved.concept, moved.surrogate, moved.weights, None if exact else COLUMNS),
        tuple(
            Pairs.of(one.concept, one.surrogate, one.weights).shortened(
                root, segments, float(one.weights.sum() / total)
            )
            for one in own.described
        ),
        moment_factor(own.before, root, None if exact else BEFORE),
        moment_factor(own.single_mention, root, None if exact else HALVES),
        retained,
    )


def retained_factors(columns: Mapping[str, Tensor], root: Tensor) -> dict[str, Tensor]:
    """What is kept of each retained prompt, from its columns (d, n); ``root`` is G^½."""
    return {prompt: moment_factor(own, root, RETAINED) for prompt, own in columns.items()}


def named_columns(
    denoiser: Denoiser,
    concepts: Sequence[ResolvedConcept],
    captions: Sequence[str],
    stream: str,
    root: Tensor,
) -> dict[str, Tensor]:
    """Columns of the names that ``captions`` mention, prompt to (d, n); none of the concepts.

    Empty with a causal text encoder. With a bidirectional one every word of a sentence changes
    with the concept, so that names far from it change as well and have to be kept.
    """
    if not denoiser.family.bidirectional:
        return {}
    prompts = common_name_prompts(captions, concepts)
    found = keep_columns_each(denoiser, prompts, stream)
    return {prompt: moment_factor(columns, root, RETAINED) for prompt, columns in found.items()}


def preserved_columns(
    statistics: Sequence[StreamStatistics], empty: Tensor, named: Mapping[str, Tensor]
) -> Preserved:
    """What a ridge keeps near its original output.

    Args:
        empty: (d, n) columns of the empty prompt.
        named: of ``named_columns``.
    """
    # A prompt that several concepts retain counts once.
    retained = {prompt: columns for own in statistics for prompt, columns in own.retained.items()}
    retained = {**named, **retained}
    before = [own.before for own in statistics if own.before.shape[1]]
    return Preserved(
        anchors=[empty / empty.shape[1] ** 0.5],
        alone=[own.alone for own in statistics],
        retained=[*before, *retained.values()],
    )


def gram_roots(denoiser: Denoiser, pooled: bool = True) -> dict[str, Tensor]:
    """G^½ of the maps that read each stream, by its name; without ``pooled`` of tokens only."""
    roots = {}
    for stream in denoiser.family.streams:
        if pooled or stream.segments:
            width = denoiser.embeddings([EMPTY], stream.name)[0].shape[-1]
            roots[stream.name] = map_root(denoiser, stream.name, width)
    return roots
