"""What the closed-form baselines share: least squares on columns, and edits put on maps."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from trace_erasure.baselines.base import BaselineContext, sentence, surrogate_of
from trace_erasure.baselines.last_token import all_columns, last_columns, moment, tail_columns
from trace_erasure.concepts.alignment import balance
from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.math import closed_form as algebra
from trace_erasure.math import subspaces
from trace_erasure.math.lowrank import LowRank, compact
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.pipeline.families.family import POOLED


def streams_of(denoiser: Denoiser, pooled: bool) -> list[str]:
    """Names of the family's streams of text, the pooled one only where asked for."""
    names = [stream.name for stream in denoiser.family.streams]
    return [name for name in names if pooled or name != POOLED]


def gram_of(denoiser: Denoiser, stream: str, width: int) -> Tensor:
    """G of the maps that read a stream of ``width`` numbers."""
    return subspaces.gram(denoiser.weights(stream, width).values())


def least_squares(
    concept: Tensor,
    target: Tensor,
    keep: Tensor,
    *,
    penalty: float,
    preserve: float,
) -> algebra.Edit:
    """min ‖W′C − WS‖² + ``preserve`` ‖W′R − WR‖² + λ‖W′ − W‖², for all maps at once.

    ``penalty`` is λ over the mean squared entry of R, or of C where nothing is kept.
    """
    kept = keep.shape[1]
    return algebra.ridge(
        concept,
        target,
        moment(keep if kept else concept),
        penalty=penalty,
        preserve=preserve * kept,
    )


def change_of(
    denoiser: Denoiser, stream: str, edit: algebra.Edit, only: re.Pattern[str] | None = None
) -> dict[str, LowRank]:
    """The change of every map that reads ``stream``, or of those whose path matches ``only``."""
    maps = denoiser.maps(stream)
    return {
        path: compact(edit.change(weight)).widen(maps[path].in_features)
        for path, weight in denoiser.weights(stream, len(edit.shift)).items()
        if only is None or only.fullmatch(path)
    }


def subject_columns(
    context: BaselineContext, stream: str, guide: str | None, templates: bool
) -> tuple[Tensor, Tensor]:
    """One column for each phrase of each concept and its guide's, (d, m) twice.

    ``guide`` None is each concept's surrogate. Without ``templates`` the phrase stands alone.
    """
    every = [pair for concept in context.concepts for pair in wordings(concept, guide, templates)]
    prompts, phrases, guides, words = zip(*every, strict=True)
    own = last_columns(context.denoiser, prompts, stream, phrases)
    others = last_columns(context.denoiser, guides, stream, words)
    return torch.cat(own, dim=1), torch.cat(others, dim=1)


def subject_tails(
    context: BaselineContext, stream: str, guide: str | None, templates: bool
) -> tuple[Tensor, Tensor]:
    """``subject_columns`` with all columns from the phrase's last token to the prompt's end."""
    pairs = [
        tail_columns(context.denoiser, prompt, of_guide, stream, (phrase, word))
        for concept in context.concepts
        for prompt, phrase, of_guide, word in wordings(concept, guide, templates)
    ]
    return torch.cat([own for own, _ in pairs], dim=1), torch.cat([to for _, to in pairs], dim=1)


def subject_means(
    context: BaselineContext, stream: str, guide: str | None, templates: bool
) -> tuple[Tensor, Tensor]:
    """``subject_columns`` averaged over each concept's phrases and sentences, (d, concepts)."""
    own, others = [], []
    for concept in context.concepts:
        prompts, phrases, guides, words = zip(*wordings(concept, guide, templates), strict=True)
        own.append(segment_means(last_columns(context.denoiser, prompts, stream, phrases)))
        others.append(segment_means(last_columns(context.denoiser, guides, stream, words)))
    return torch.cat(own, dim=1), torch.cat(others, dim=1)


def segment_means(parts: Sequence[Tensor]) -> Tensor:
    """The mean column of every token segment, (d, segments)."""
    return torch.stack([part.mean(dim=1) for part in parts], dim=1)


def wordings(
    concept: ResolvedConcept, guide: str | None, templates: bool
) -> list[tuple[str, str, str, str]]:
    """Prompt, the concept's phrase in it, the guide's prompt, and the guide's word in that."""
    word = surrogate_of(concept) if guide is None else guide
    return [
        (sentence(template, phrase), phrase, sentence(template, word), word)
        for template in (concept.sentences if templates else ("{x}",))
        for phrase in concept.phrases
    ]


def retained_columns(context: BaselineContext, stream: str, whole: bool = False) -> Tensor:
    """The last word's column of every prompt that is to be retained, (d, n).

    ``whole`` gives all columns of these prompts and of the empty one.
    """
    if whole:
        return all_columns(context.denoiser, [EMPTY, *context.request.retain], stream)
    if not context.request.retain:
        return last_columns(context.denoiser, [EMPTY], stream)[0][:, :0]
    return torch.cat(last_columns(context.denoiser, context.request.retain, stream), dim=1)


def empty_columns(denoiser: Denoiser, stream: str) -> list[Tensor]:
    """All columns of the empty prompt, for each token segment (d, positions)."""
    parts = denoiser.embeddings([EMPTY], stream)
    return [size * part[0].mT for part, size in zip(parts, balance(parts), strict=True)]
