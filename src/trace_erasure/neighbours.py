"""What the model hears near a concept: synonyms, surrogates, names to retain.

Two distances, both relative to their mean over all words. Names near in *embedding*, ‖W(e_a − e_b)‖
over all positions of ``a picture of a …`` in the metric of the maps that read the text, are the
first to suffer from an edit. Phrases near in *prediction* (see ``likeness``) draw the same thing.
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
from trace_erasure.likeness import sketches
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
# A noun with all that describes it: "a short blade with a grip". Not how a picture is made.
DESCRIPTION = re.compile(
    r"(?=\b(?:an?|the|two) ((?:[\w'-]+ ){0,6}?[\w'-]+)(?=$|,| on | in | and | next ))"
)
MEDIUM = re.compile(r"(?:picture|image|drawing|photo|painting)\b|.* (?:style|background)\b")
SYNONYM = 0.35
"""Phrases whose prediction is nearer than this share of the mean draw the concept itself."""
DISTINCT = 0.6
"""A proposed surrogate's embedding is at least this far away, so that it is something else."""
UNFIT = re.compile(
    r"(?:axe|bomb|bow|dagger|grenade|gun|knife|missile|pistol|rifle|spear|swords?|trident|weapon"
    r"|blood|corpse|nude|naked)s?",
    re.IGNORECASE,
)
"""Never proposed as a surrogate: harmless in a test, unwelcome in anybody's pictures."""
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


def phrases(captions: Sequence[str], kind: str) -> list[str]:
    """What ``captions`` may call a concept of ``kind``, whole descriptions included."""
    found = dict.fromkeys(candidates(captions, kind))
    if PATTERNS[kind] is PATTERNS["object"]:
        listed = sorted({match for text in captions for match in DESCRIPTION.findall(text)})
        found.update(dict.fromkeys(text for text in listed if not MEDIUM.match(text)))
    return list(found)


def synonyms(denoiser: Denoiser, concept: Concept, among: Sequence[str]) -> tuple[str, ...]:
    """The phrases in ``among`` that the network draws as it draws the concept, nearest first."""
    frame, own = FRAMES[concept.kind], {phrase.lower() for phrase in concept.phrases}
    others = [phrase for phrase in among if phrase.lower() not in own]
    if not others:
        return ()
    # All of them, so that what is kept on disk serves every concept.
    found = sketches(denoiser, [fill(frame, phrase) for phrase in among])
    origin = sketches(denoiser, [fill(frame, concept.phrase)])
    rows = [i for i, phrase in enumerate(among) if phrase.lower() not in own]
    distance = (found[rows] - origin).norm(dim=2)
    distance = (distance / distance.mean(dim=0)).mean(dim=1)  # of early and late states
    order = torch.argsort(distance).tolist()
    return tuple(others[i] for i in order if distance[i] < SYNONYM)


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
        synonyms: phrases that the network draws as the concept.
        surrogate: the proposed (or the given) surrogate.
        retain: the nearest words that are neither, the first to suffer from an edit.
    """

    synonyms: tuple[str, ...]
    surrogate: str
    retain: tuple[str, ...]


def survey(
    denoiser: Denoiser, concept: Concept, names: Mapping[str, int], phrases: Sequence[str]
) -> Survey:
    """Looks around ``concept`` among ``names`` and their counts; see ``candidates``.

    Synonyms are sought among ``phrases``. A surrogate is proposed among the commoner half of the
    names: what is seldom spoken of may not be something that the model can draw.

    Raises ``InputError`` where no surrogate is given and none can be proposed.
    """
    # People have no synonyms: two names that sound alike are two people.
    heard = () if concept.kind == "identity" else synonyms(denoiser, concept, phrases)
    own = {word.lower() for word in (*concept.phrases, *heard, concept.surrogate or "")}
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
    surrogate = concept.surrogate
    if surrogate is None:
        common = median(others.values())
        known = [
            (word, distance)
            for word, distance in ranked
            if others[word] >= common and not UNFIT.fullmatch(word)
        ] or ranked
        distinct = (word for word, distance in known if distance >= DISTINCT)
        surrogate = next(distinct, known[-1][0])
    retain = [word for word, _ in ranked if word != surrogate][:RETAINED]
    return Survey(heard, surrogate, tuple(retain))
