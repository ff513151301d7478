"""What lies near a concept in the model's own vocabulary: synonyms, surrogates, names to retain.

Distances are between sentences as the denoiser hears them: ‖W(e_a − e_b)‖ over all positions of
``a picture of a …``, in the metric of the maps that read the text, relative to the mean distance
between words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.concept import fill
from trace_erasure.denoiser import Denoiser
from trace_erasure.math.closed_form import gram, symmetric_root

FRAMES = {"object": "a picture of a {x}", "explicit": "a picture of a {x}", "style": "a house, {x} style", "identity": "a picture of {x}"}  # fmt: skip


@dataclass(frozen=True)
class Neighbourhood:
    """Words by distance from a concept, nearest first."""

    words: tuple[str, ...]
    distances: tuple[float, ...]


def words(denoiser: Denoiser, shortest: int = 3) -> list[str]:
    """Whole words of the tokenizer's vocabulary, alphabetic and lower case."""
    vocabulary = denoiser.pipe.tokenizer.get_vocab()
    found = {token.removesuffix("</w>") for token in vocabulary if token.endswith("</w>")}
    return sorted(w for w in found if len(w) >= shortest and w.isascii() and w.isalpha())


def heard(denoiser: Denoiser, prompts: Sequence[str]) -> Tensor:
    """Sentences as the denoiser hears them, (n, d): G^½ times each position, pooled over words.

    The mean over the positions from the first differing word on is what cross-attention averages.
    """
    root = symmetric_root(gram([layer.weight for layer in denoiser.token_maps().values()]))
    tokens = denoiser.encode(prompts).tokens.double().cpu()
    return (tokens @ root).flatten(1)


def neighbourhood(denoiser: Denoiser, phrase: str, kind: str, candidates: Sequence[str]) -> Neighbourhood:  # fmt: skip
    """``candidates`` sorted by distance from ``phrase``; 1 is the mean distance of all of them."""
    frame = FRAMES[kind]
    others = [word for word in dict.fromkeys(candidates) if word.lower() != phrase.lower()]
    vectors = heard(denoiser, [fill(frame, phrase), *(fill(frame, word) for word in others)])
    distance = (vectors[1:] - vectors[0]).norm(dim=1)
    distance = distance / distance.mean()
    order = torch.argsort(distance).tolist()
    return Neighbourhood(tuple(others[i] for i in order), tuple(distance[order].tolist()))
