"""What the model hears near a concept: synonyms, surrogates, names to retain.

Distances are between sentences as the denoiser hears them: ‖W(e_a − e_b)‖ over all positions of
``a picture of a …``, in the metric of the maps that read the text, relative to the mean distance
between words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from trace_erasure.concept import Concept, fill
from trace_erasure.denoiser import Denoiser
from trace_erasure.errors import InputError
from trace_erasure.math.closed_form import gram, symmetric_root

FRAMES = {
    "object": "a picture of a {x}",
    "explicit": "a picture of a {x}",
    "style": "a house, {x} style",
    "identity": "a picture of {x}",
}
# How captions name things: a noun after its article, a style before the word, a person in capitals.
PATTERNS = {
    "object": r"\ban? (\w+)(?=$|,| on | in | and | next )",
    "style": r"(?:, |\bin )(\w+(?: \w+)?) style\b",
    "identity": r"\b([A-Z]\w+ [A-Z]\w+)\b",
}
PATTERNS["explicit"] = PATTERNS["object"]
SYNONYM = 0.35
"""Words nearer than this share of the mean distance are heard as the concept itself."""
DISTINCT = 0.6
"""A proposed surrogate is at least this far away, so that it is something else."""
RETAINED = 12
BATCH = 256


@dataclass(frozen=True)
class Neighbourhood:
    """Words by distance from a concept, nearest first."""

    words: tuple[str, ...]
    distances: tuple[float, ...]


def candidates(captions: Sequence[str], kind: str) -> dict[str, int]:
    """Phrases of ``kind`` that ``captions`` speak of, and how often, in alphabetical order."""
    count = Counter(match for text in captions for match in re.findall(PATTERNS[kind], text))
    return dict(sorted(count.items()))


def distances(denoiser: Denoiser, prompt: str, others: Sequence[str]) -> Tensor:
    """‖G^½ (e_a − e_b)‖ between ``prompt`` and each of ``others``, (n,).

    Over all positions of every stream by which text enters.
    """
    origin = denoiser.encode([prompt])
    roots = {}
    for stream in denoiser.family.streams:
        width = denoiser.parts(origin, stream.name)[0].shape[-1]
        weights = denoiser.weights(stream.name, width)
        roots[stream.name] = symmetric_root(gram(list(weights.values())))
    found = []
    for start in range(0, len(others), BATCH):  # a large vocabulary does not fit at once
        batch = denoiser.encode(others[start : start + BATCH])
        square = torch.zeros(len(batch), dtype=torch.float64)
        for stream, root in roots.items():
            pairs = zip(denoiser.parts(batch, stream), denoiser.parts(origin, stream), strict=True)
            for own, other in pairs:
                square += ((own - other) @ root).flatten(1).square().sum(dim=1)
        found.append(square.sqrt())
    return torch.cat(found)


def neighbourhood(
    denoiser: Denoiser, phrase: str, kind: str, candidates: Sequence[str]
) -> Neighbourhood:
    """``candidates`` sorted by distance from ``phrase``; 1 is the mean distance of all of them."""
    frame = FRAMES[kind]
    others = [word for word in dict.fromkeys(candidates) if word.lower() != phrase.lower()]
    distance = distances(denoiser, fill(frame, phrase), [fill(frame, word) for word in others])
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


def survey(denoiser: Denoiser, concept: Concept, names: Mapping[str, int]) -> Survey:
    """Looks around ``concept`` among ``names`` and their counts; see ``candidates``.

    A surrogate is proposed among the commoner half of the names: what is seldom spoken of may not
    be something that the model can draw.

    Raises ``InputError`` where no surrogate is given and none can be proposed.
    """
    own = {phrase.lower() for phrase in (*concept.phrases, concept.surrogate or "")}
    others = {name: count for name, count in names.items() if name.lower() not in own}
    if not others and concept.surrogate is None:
        raise InputError(
            f"no surrogate for {concept.phrase!r} can be proposed: the captions name nothing of "
            f"kind {concept.kind!r}. Name one, or pass captions of the model's domain."
        )
    ranked: list[tuple[str, float]] = []
    if others:
        near = neighbourhood(denoiser, concept.phrase, concept.kind, list(others))
        ranked = list(zip(near.words, near.distances, strict=True))
    # People have no synonyms: two names that sound alike are two people.
    bound = 0.0 if concept.kind == "identity" else SYNONYM
    synonyms = tuple(word for word, distance in ranked if distance < bound)
    rest = [(word, distance) for word, distance in ranked if distance >= bound]
    surrogate = concept.surrogate
    if surrogate is None:
        common = median(others.values())
        known = [(word, distance) for word, distance in ranked if others[word] >= common]
        distinct = (word for word, distance in known if distance >= DISTINCT)
        surrogate = next(distinct, known[-1][0])
    retain = [word for word, _ in rest if word != surrogate][:RETAINED]
    return Survey(synonyms, surrogate, tuple(retain))
