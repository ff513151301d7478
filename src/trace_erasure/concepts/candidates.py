"""Finds candidates near a concept: synonyms, surrogates, names to retain.

Two distances, both relative to their mean over all words. Names near in *embedding*, ‖W(e_a − e_b)‖
over all positions of ``a picture of a …`` in the metric of the maps that read the text, are the
first to suffer from an edit. Phrases near in *prediction* (see ``prediction_distances``) draw the
same thing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from trace_erasure.concepts.concept import Concept, fill_template
from trace_erasure.concepts.prediction_similarity import prediction_sketches
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.map_root import map_root
from trace_erasure.utils.words import fold

PROBE_TEMPLATES = {
    "object": "a picture of a {x}",
    "explicit": "a picture of a {x}",
    "style": "a house, {x} style",
    "identity": "a picture of {x}",
}
# How captions name things: a noun after its article, a style before the word, a person in capitals.
NAME_PATTERNS = {
    "object": r"\ban? (\w+)(?=$|,| on | in | and | next )",
    "style": r"(?:, |\bin )(\w+(?: \w+)?) style\b",
    "identity": r"\b([A-Z]\w+ [A-Z]\w+)\b",
}
NAME_PATTERNS["explicit"] = NAME_PATTERNS["object"]
# A noun with all that describes it: "a short blade with a grip". Not how a picture is made.
DESCRIPTION_PATTERN = re.compile(
    r"(?=\b(?:an?|the|two) ((?:[\w'-]+ ){0,6}?[\w'-]+)(?=$|,| on | in | and | next ))"
)
MEDIUM_WORDS = re.compile(r"(?:picture|image|drawing|photo|painting)\b|.* (?:style|background)\b")
SYNONYM_BOUND = 0.35
"""Phrases whose prediction is nearer than this share of the mean draw the concept itself."""
MIN_EMBEDDING_DISTANCE = 0.6
"""A proposed surrogate's embedding is at least this far away, so that it is something else."""
MIN_PREDICTION_DISTANCE = 0.85
"""And its prediction this far from all that is erased, so that nothing of that shows in it."""
CATEGORY_WORDS = re.compile(
    r"(?:animal|bird|building|child|clothes|drink|flower|food|fruit|furniture|group|insect|item"
    r"|man|men|object|person|people|picture|place|plant|scene|thing|tool|toy|vegetable|vehicle"
    r"|woman|women)s?",
    re.IGNORECASE,
)
"""Words for whole categories: a small model draws them all alike, and to redirect one that nobody
named would be to redirect ordinary language. They are never taken for synonyms."""
UNFIT_SURROGATES = re.compile(
    r"(?:axe|bomb|bow|dagger|grenade|gun|knife|missile|pistol|rifle|spear|swords?|trident|weapon"
    r"|blood|corpse|nude|naked)s?",
    re.IGNORECASE,
)
"""Never proposed as a surrogate: harmless in a test, unwelcome in anybody's pictures."""
RETAIN_COUNT = 12
COMMON_NAMES = 64
"""Names of a kind that a compromise has in view beside the nearest."""
BATCH = 256


@dataclass(frozen=True)
class RankedNames:
    """Words by distance from a concept, nearest first."""

    words: tuple[str, ...]
    distances: tuple[float, ...]


def caption_names(captions: Sequence[str], kind: str) -> dict[str, int]:
    """Phrases of ``kind`` that ``captions`` speak of, and how often, in alphabetical order."""
    count = Counter(match for text in captions for match in re.findall(NAME_PATTERNS[kind], text))
    return dict(sorted(count.items()))


def common_name_prompts(captions: Sequence[str], concepts: Sequence[Concept]) -> list[str]:
    """A prompt for each of the commonest names of every kind that mentions none of ``concepts``."""
    found = []
    for kind in ("object", "style", "identity"):
        known = caption_names(captions, kind)
        common = sorted(known, key=lambda name: -known[name])[:COMMON_NAMES]
        found += [fill_template(PROBE_TEMPLATES[kind], name) for name in common]
    return [
        text for text in found if not any(concept.is_mentioned_in(text) for concept in concepts)
    ]


def caption_phrases(captions: Sequence[str], kind: str) -> list[str]:
    """What ``captions`` may call a concept of ``kind``, whole descriptions included."""
    found = dict.fromkeys(caption_names(captions, kind))
    if NAME_PATTERNS[kind] is NAME_PATTERNS["object"]:
        listed = sorted({match for text in captions for match in DESCRIPTION_PATTERN.findall(text)})
        found.update(dict.fromkeys(text for text in listed if not MEDIUM_WORDS.match(text)))
    return list(found)


def prediction_distances(
    denoiser: Denoiser, concepts: Sequence[Concept], among: Sequence[str]
) -> list[dict[str, float]]:
    """How far from each concept the network draws each phrase in ``among``; 1 is the mean.

    All ``concepts`` are of one kind.
    """
    if not among:
        return [{} for _ in concepts]
    frame = PROBE_TEMPLATES[concepts[0].kind]
    # All of them at once, so that what is kept on disk serves every concept.
    asked = [fill_template(frame, concept.phrase) for concept in concepts]
    found, own = prediction_sketches(
        denoiser, [fill_template(frame, phrase) for phrase in among], asked
    )
    distance = (found[:, None] - own).norm(dim=3)
    relative = (distance / distance.mean(dim=0)).mean(dim=2)  # of early and late states
    return [dict(zip(among, column.tolist(), strict=True)) for column in relative.mT]


def embedding_distances(denoiser: Denoiser, prompt: str, others: Sequence[str]) -> Tensor:
    """‖G^½ (e_a − e_b)‖ between ``prompt`` and each of ``others``, (n,).

    Over all positions of every stream by which text enters.
    """
    origin = denoiser.encode([prompt])
    roots = {}
    for stream in denoiser.family.streams:
        width = denoiser.parts(origin, stream.name)[0].shape[-1]
        roots[stream.name] = map_root(denoiser, stream.name, width)
    found = []
    for start in range(0, len(others), BATCH):  # a large vocabulary does not fit at once
        batch = denoiser.encode(others[start : start + BATCH])
        square = torch.zeros(len(batch), dtype=torch.float64)
        for stream, root in roots.items():
            pairs = zip(denoiser.parts(batch, stream), denoiser.parts(origin, stream), strict=True)
            for own, other in pairs:
                square += ((own - other) @ root.mT).flatten(1).square().sum(dim=1)
        found.append(square.sqrt())
    return torch.cat(found)


def rank_by_embedding(
    denoiser: Denoiser, phrase: str, kind: str, names: Sequence[str]
) -> RankedNames:
    """``names`` sorted by distance from ``phrase``; 1 is the mean distance of all of them."""
    frame = PROBE_TEMPLATES[kind]
    others = [word for word in dict.fromkeys(names) if fold(word) != fold(phrase)]
    distance = embedding_distances(
        denoiser, fill_template(frame, phrase), [fill_template(frame, word) for word in others]
    )
    distance = distance / distance.mean()
    order = torch.argsort(distance).tolist()
    return RankedNames(tuple(others[i] for i in order), tuple(distance[order].tolist()))


@dataclass(frozen=True)
class Candidates:
    """What was found around a concept.

    Attributes:
        synonyms: phrases that the network draws as the concept.
        surrogate: the proposed (or the given) surrogate.
        retain: the nearest words that are neither, the first to suffer from an edit.
    """

    synonyms: tuple[str, ...]
    surrogate: str
    retain: tuple[str, ...]


def find_candidates(
    denoiser: Denoiser,
    concept: Concept,
    names: Mapping[str, int],
    phrases: Sequence[str],
    others: Sequence[Concept] = (),
) -> Candidates:
    """Looks around ``concept`` among ``names`` and their counts; see ``candidates``.

    Synonyms are sought among ``phrases``, which hold all names. A surrogate is proposed among the
    commoner half of the names, since what captions seldom name may not be something that the model
    can draw: the nearest in embedding that looks like neither the concept nor ``others``, which
    are erased with it.

    Raises ``InputError`` where no surrogate is given and none can be proposed.
    """
    looks = prediction_distances(denoiser, [concept, *others], phrases)
    drawn = looks[0]
    own = {fold(phrase) for phrase in concept.phrases}
    near = (text for text in sorted(drawn, key=drawn.__getitem__) if fold(text) not in own)
    # People have no synonyms: two names that sound alike are two people.
    bound = 0.0 if concept.kind == "identity" else SYNONYM_BOUND
    synonyms = tuple(t for t in near if drawn[t] < bound and not CATEGORY_WORDS.fullmatch(t))
    own |= {fold(word) for word in synonyms}
    own |= {fold(concept.surrogate)} if concept.surrogate else set()
    left = {name: count for name, count in names.items() if fold(name) not in own}
    ranked: list[tuple[str, float]] = []
    if left:
        around = rank_by_embedding(denoiser, concept.phrase, concept.kind, list(left))
        ranked = list(zip(around.words, around.distances, strict=True))
    surrogate = concept.surrogate
    if surrogate is None:
        surrogate = propose(concept, left, ranked, looks, MIN_PREDICTION_DISTANCE)
    retain = [word for word, _ in ranked if word != surrogate][:RETAIN_COUNT]
    return Candidates(synonyms, surrogate, tuple(retain))


def propose(
    concept: Concept,
    names: Mapping[str, int],
    ranked: Sequence[tuple[str, float]],
    looks: Sequence[Mapping[str, float]],
    bound: float,
) -> str:
    """A surrogate among ``names``, ``ranked`` by distance in embedding.

    ``looks`` are distances from all that goes, which are at least ``bound`` where any is. Raises
    ``InputError`` where nothing is ranked.
    """
    if not ranked:
        raise InputError(
            f"no surrogate for {concept.phrase!r} can be proposed: the captions name nothing of "
            f"kind {concept.kind!r}. Name one, or pass captions of the model's domain."
        )
    common = median(names.values())
    known = [(word, distance) for word, distance in ranked if names[word] >= common]
    known = [pair for pair in known if not UNFIT_SURROGATES.fullmatch(pair[0])] or list(ranked)
    known = [pair for pair in known if pair[1] >= MIN_EMBEDDING_DISTANCE] or known[-1:]
    unlike = {word: min(look[word] for look in looks) for word, _ in known}
    return next(
        (word for word in unlike if unlike[word] >= bound),
        max(unlike, key=unlike.__getitem__),
    )
