"""The second moment Σ of the embeddings of ordinary captions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trace_erasure.concepts.alignment import PADDING_WEIGHT
from trace_erasure.concepts.captions import captions_for, that_fit
from trace_erasure.errors import InputError
from trace_erasure.math.second_moment import SecondMoment
from trace_erasure.pipeline.content_digest import text_digest
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import TOKENS
from trace_erasure.utils.cache import cached, key_of
from trace_erasure.utils.progress import progress

ROWS = 8192
"""Embeddings that are held at once while the second moment is taken."""


def second_moment(
    denoiser: Denoiser,
    captions: Sequence[str] | None = None,
    stream: str = TOKENS,
    encoders: str | None = None,
) -> Tensor:
    """Σ = mean of e eᵀ over what a stream carries for ``captions``, (d, d) float64.

    Words count one each and padding as much as ``PADDING_WEIGHT`` words a caption; a pooled vector
    counts one. Depends on the text encoders alone, so it is computed once and cached on disk by
    the hash of their weights, of the tokenizers and of the captions.

    Args:
        encoders: ``text_digest`` of the pipeline, from a caller that asks for several streams.
    """
    captions = that_fit(denoiser, captions_for(denoiser, captions))
    if not captions:
        raise InputError("no caption fits the positions of this model. Pass shorter captions.")
    # The probe stands for what no weight says, such as the device and its arithmetic.
    probe = denoiser.embeddings(["", captions[0]], stream)
    key = key_of(
        __name__,
        encoders or text_digest(denoiser.pipe),
        repr([stream, [length for _, length in denoiser.segments(stream)], captions]),
        *(part.float().numpy().tobytes() for part in probe),
    )
    width = probe[0].shape[-1]
    return cached(
        "second-moment", key, (width, width), lambda: _second_moment(denoiser, captions, stream)
    )


def _second_moment(denoiser: Denoiser, captions: Sequence[str], stream: str) -> Tensor:
    segments = denoiser.segments(stream)
    batch = max(1, ROWS // sum(length for _, length in segments))
    moment = SecondMoment(denoiser.embeddings([""], stream)[0].shape[-1])
    starts = range(0, len(captions), batch)
    for start in progress(starts, desc="second moment"):
        texts = captions[start : start + batch]
        parts = denoiser.embeddings(texts, stream)
        for (tokenizer, _), part in zip(segments, parts, strict=True):
            weights = torch.ones(part.shape[:2], dtype=torch.float64)
            for row, text in zip(weights, texts, strict=True):
                end = len(tokenizer(text).input_ids) if tokenizer is not None else len(row)
                if end < len(row):
                    row[end:] = PADDING_WEIGHT / (len(row) - end)
            moment.update(part, weights)
    return moment.value()
