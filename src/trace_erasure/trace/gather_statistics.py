"""Gathers what one concept contributes to a joint solve with others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from trace_erasure.artifact.merge_statistics import MergeStatistics, StreamStatistics
from trace_erasure.concepts.alignment import StreamColumns, keep_columns_each, stream_columns
from trace_erasure.concepts.candidates import common_name_prompts
from trace_erasure.concepts.concept import Concept
from trace_erasure.math.column_pairs import Pairs
from trace_erasure.math.subspaces import gram_root, moment_factor
from trace_erasure.math.weighted_ridge import Preserved
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser

COLUMNS = 24
"""Combinations of a concept's columns that are kept. What lies outside is a rounding error where
text is read in one direction; where words hear each other it is what each sentence adds, and a
compromise that leaves it alone erases as much and costs the rest less."""


BEFORE = 8


HALVES = 32


RETAINED = 2
"""Combinations kept of each retained prompt."""


def gather(
    denoiser: Denoiser, concept: Concept, retain: Sequence[str], roots: Mapping[str, Tensor]
) -> MergeStatistics:
    """The share of ``concept``, which names its surrogate.

    Args:
        retain: prompts to hold, as in ``redirect``.
        roots: G^½ of every stream that is edited, by its name.
    """
    streams = {
        stream: part_of(denoiser, stream_columns(denoiser, concept, stream), retain, stream, root)
        for stream, root in roots.items()
    }
    return MergeStatistics(concept, streams)


def part_of(
    denoiser: Denoiser,
    found: StreamColumns,
    retain: Sequence[str],
    stream: str,
    root: Tensor,
    exact: bool = False,
) -> StreamStatistics:
    """What ``found`` and the prompts to ``retain`` come to in one stream; ``root`` is G^½.

    All of the concept's columns are kept for ``exact`` solves, and otherwise what matters.
    """
    own, populations = found.moved, len(denoiser.populations(stream))
    total = own.weights.sum()
    return StreamStatistics(
        Pairs.of(own.concept, own.surrogate, own.weights, None if exact else COLUMNS),
        tuple(
            Pairs.of(one.concept, one.surrogate, one.weights).shortened(
                root, populations, float(one.weights.sum() / total)
            )
            for one in found.described
        ),
        moment_factor(found.before, root, None if exact else BEFORE),
        moment_factor(found.single_mention, root, None if exact else HALVES),
        {
            prompt: moment_factor(columns_of, root, RETAINED)
            for prompt, columns_of in keep_columns_each(denoiser, retain, stream).items()
        },
    )


def names_of(
    denoiser: Denoiser,
    concepts: Sequence[Concept],
    captions: Sequence[str],
    stream: str,
    root: Tensor,
) -> dict[str, Tensor]:
    """Columns of what ``captions`` speak of, prompt to (d, n), which no concept brings itself.

    Only where words hear each other: there a sentence's change is in all of its words, and names
    that are not near the concept suffer as well.
    """
    if not denoiser.family.both_ways:
        return {}
    prompts = common_name_prompts(captions, concepts)
    found = keep_columns_each(denoiser, prompts, stream)
    return {prompt: moment_factor(columns, root, RETAINED) for prompt, columns in found.items()}


def rest_of(
    parts: Sequence[StreamStatistics], empty: Tensor, names: Mapping[str, Tensor]
) -> Preserved:
    """What a compromise leaves as it is; ``empty`` are the columns of the empty prompt, ``names``
    those of ``names_of``."""
    # A prompt that several concepts retain counts once.
    retained = {prompt: columns for part in parts for prompt, columns in part.retained.items()}
    retained = {**names, **retained}
    before = [part.before for part in parts if part.before.shape[1]]
    return Preserved(
        anchors=[empty / empty.shape[1] ** 0.5],
        alone=[part.alone for part in parts],
        retained=[*before, *retained.values()],
    )


def roots_of(denoiser: Denoiser, pooled: bool = True) -> dict[str, Tensor]:
    """G^½ of the maps that read each stream; without ``pooled`` of the tokens' alone."""
    roots = {}
    for stream in denoiser.family.streams:
        if pooled or stream.populations:
            width = denoiser.embeddings([EMPTY], stream.name)[0].shape[-1]
            weights = denoiser.weights(stream.name, width)
            roots[stream.name] = gram_root(list(weights.values()))
    return roots
