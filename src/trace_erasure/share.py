"""What one concept brings to a joint solve, small enough to travel in its artifact."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from trace_erasure.columns import Material, keep_columns_each, material
from trace_erasure.concept import Concept
from trace_erasure.denoiser import EMPTY, Denoiser
from trace_erasure.errors import InputError
from trace_erasure.math.compromise import Rest
from trace_erasure.math.pairs import Pairs
from trace_erasure.math.subspaces import gram_root, summary
from trace_erasure.neighbours import spoken_of

COLUMNS = 24
"""Combinations of a concept's columns that are kept. What lies outside is a rounding error where
text is read in one direction; where words hear each other it is what each sentence adds, and a
compromise that leaves it alone erases as much and costs the rest less."""
BEFORE = 8
HALVES = 32
RETAINED = 2
"""Combinations kept of each retained prompt."""


@dataclass(frozen=True, eq=False)
class Part:
    """A share in one stream of text.

    Groups of columns are summaries: their squares add up to the mean of what they stand for.

    Attributes:
        pairs: columns to redirect.
        described: what leads in each description of the concept, to be redirected, too.
        before: (d, n) of the words before the concept.
        alone: (d, n) of what must stay although it resembles the concept.
        retained: retained prompt to (d, n).
    """

    pairs: Pairs
    described: tuple[Pairs, ...]
    before: Tensor
    alone: Tensor
    retained: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Share:
    """What one concept brings to a joint solve.

    Attributes:
        concept: with its surrogate named.
        streams: stream name to its part.
    """

    concept: Concept
    streams: Mapping[str, Part]


def gather(
    denoiser: Denoiser, concept: Concept, retain: Sequence[str], roots: Mapping[str, Tensor]
) -> Share:
    """The share of ``concept``, which names its surrogate.

    Args:
        retain: prompts to hold, as in ``redirect``.
        roots: G^½ of every stream that is edited, by its name.
    """
    streams = {
        stream: part_of(denoiser, material(denoiser, concept, stream), retain, stream, root)
        for stream, root in roots.items()
    }
    return Share(concept, streams)


def part_of(
    denoiser: Denoiser,
    found: Material,
    retain: Sequence[str],
    stream: str,
    root: Tensor,
    exact: bool = False,
) -> Part:
    """What ``found`` and the prompts to ``retain`` come to in one stream; ``root`` is G^½.

    All of the concept's columns are kept for ``exact`` solves, and otherwise what matters.
    """
    own, populations = found.moved, len(denoiser.populations(stream))
    total = own.weights.sum()
    return Part(
        Pairs.of(own.concept, own.surrogate, own.weights, None if exact else COLUMNS),
        tuple(
            Pairs.of(one.concept, one.surrogate, one.weights).shortened(
                root, populations, float(one.weights.sum() / total)
            )
            for one in found.described
        ),
        summary(found.before, root, None if exact else BEFORE),
        summary(found.alone, root, None if exact else HALVES),
        {
            prompt: summary(columns_of, root, RETAINED)
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
    prompts = spoken_of(captions, concepts)
    found = keep_columns_each(denoiser, prompts, stream)
    return {prompt: summary(columns, root, RETAINED) for prompt, columns in found.items()}


def rest_of(parts: Sequence[Part], empty: Tensor, names: Mapping[str, Tensor]) -> Rest:
    """What a compromise leaves as it is; ``empty`` are the columns of the empty prompt, ``names``
    those of ``names_of``."""
    # A prompt that several concepts retain counts once.
    retained = {prompt: columns for part in parts for prompt, columns in part.retained.items()}
    retained = {**names, **retained}
    before = [part.before for part in parts if part.before.shape[1]]
    return Rest(
        reached=[empty / empty.shape[1] ** 0.5],
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


# As text for the header of a file --------------------------------------------------------


def to_text(shares: Sequence[Share]) -> str:
    """Base64 of a safetensors file in memory, float32: any loader of LoRA files passes over it."""
    tensors: dict[str, Tensor] = {}
    content = []
    for i, share in enumerate(shares):
        parts = {}
        for name, part in share.streams.items():
            stem = f"{i}.{name}"
            for k, pairs in enumerate((part.pairs, *part.described)):
                tensors[f"{stem}.{k}.concept"] = pairs.concept
                tensors[f"{stem}.{k}.surrogate"] = pairs.surrogate
            tensors[f"{stem}.before"] = part.before
            tensors[f"{stem}.alone"] = part.alone
            for k, columns in enumerate(part.retained.values()):
                tensors[f"{stem}.retained.{k}"] = columns
            parts[name] = list(part.retained)
        content.append({"concept": asdict(share.concept), "retained": parts})
    short = {name: tensor.float().contiguous() for name, tensor in sorted(tensors.items())}
    text = json.dumps(content, sort_keys=True)
    return base64.b64encode(save(short, {"shares": text})).decode("ascii")


def from_text(text: str) -> tuple[Share, ...]:
    """The inverse of ``to_text``, up to float32. Raises ``InputError`` for anything else."""
    try:
        data = base64.b64decode(text, validate=True)
        tensors = {name: tensor.double() for name, tensor in load(data).items()}
        head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        content = json.loads(head["__metadata__"]["shares"])
        return tuple(_share(tensors, i, entry) for i, entry in enumerate(content))
    except (binascii.Error, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"the columns for a joint solve in this file cannot be read ({error}). "
            "Make the erasure again."
        ) from error


def _share(tensors: Mapping[str, Tensor], i: int, entry: Mapping) -> Share:
    concept, streams = Concept(**entry["concept"]), {}
    for name, prompts in entry["retained"].items():
        stem = f"{i}.{name}"
        pairs = [
            Pairs(tensors[f"{stem}.{k}.concept"], tensors[f"{stem}.{k}.surrogate"])
            for k in range(1 + len(concept.descriptions))
        ]
        streams[name] = Part(
            pairs[0],
            tuple(pairs[1:]),
            tensors[f"{stem}.before"],
            tensors[f"{stem}.alone"],
            {prompt: tensors[f"{stem}.retained.{k}"] for k, prompt in enumerate(prompts)},
        )
    return Share(concept, streams)
