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

from trace_erasure.concept import Concept, fill
from trace_erasure.denoiser import Denoiser
from trace_erasure.math.closed_form import gram, symmetric_root

FRAMES = {
    "object": "a picture of a {x}",
    "explicit": "a picture of a {x}",
    "style": "a house, {x} style",
    "identity": "a picture of {x}",
}
SYNONYM = 0.35
"""Words nearer than this share of the mean distance are heard as the concept itself."""
DISTINCT = 0.6
"""A proposed surrogate is at least this far away, so that it is something else."""
IDENTITY_SURROGATE = "a person"
RETAINED = 12


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
    """Sentences as the denoiser hears them, (n, positions · d): G^½ times every embedding."""
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


@dataclass(frozen=True)
class Survey:
    """What was found around a concept.

    Attributes:
        synonyms: words that the denoiser hears as the concept.
        surrogate: the proposed (or the given) surrogate.
        retain: the nearest words that are neither, the first to suffer from an edit.
    """

    synonyms: tuple[str, ...]
    surrogate: str
    retain: tuple[str, ...]


def survey(denoiser: Denoiser, concept: Concept) -> Survey:
    """Looks around ``concept`` in the tokenizer's vocabulary."""
    own = {word for phrase in concept.phrases for word in phrase.lower().split()}
    given = concept.surrogate or ""
    candidates = [w for w in words(denoiser) if w not in own and w not in given.lower().split()]
    near = neighbourhood(denoiser, concept.phrase, concept.kind, candidates)
    ranked = list(zip(near.words, near.distances, strict=True))
    synonyms = tuple(word for word, distance in ranked if distance < SYNONYM)
    others = [(word, distance) for word, distance in ranked if distance >= SYNONYM]
    proposed = next((word for word, distance in others if distance >= DISTINCT), near.words[-1])
    if concept.kind == "identity":
        proposed = IDENTITY_SURROGATE
    surrogate = concept.surrogate or proposed
    retain = [word for word, _ in others if word != surrogate][:RETAINED]
    return Survey(synonyms, surrogate, tuple(retain))
