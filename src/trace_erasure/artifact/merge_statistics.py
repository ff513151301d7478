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

from trace_erasure.concepts.concept import Concept
from trace_erasure.errors import InputError
from trace_erasure.math.column_pairs import Pairs


@dataclass(frozen=True, eq=False)
class StreamStatistics:
    """What a concept contributes to a joint solve in one stream of text.

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
class MergeStatistics:
    """What one concept contributes to a joint solve.

    Attributes:
        concept: with its surrogate named.
        streams: stream name to the statistics of that stream.
    """

    concept: Concept
    streams: Mapping[str, StreamStatistics]


# As text for the header of a file --------------------------------------------------------


def to_text(statistics: Sequence[MergeStatistics]) -> str:
    """Base64 of a safetensors file in memory, float32: any loader of LoRA files passes over it."""
    tensors: dict[str, Tensor] = {}
    content = []
    for i, one in enumerate(statistics):
        parts = {}
        for name, part in one.streams.items():
            stem = f"{i}.{name}"
            for k, pairs in enumerate((part.pairs, *part.described)):
                tensors[f"{stem}.{k}.concept"] = pairs.concept
                tensors[f"{stem}.{k}.surrogate"] = pairs.surrogate
            tensors[f"{stem}.before"] = part.before
            tensors[f"{stem}.alone"] = part.alone
            for k, columns in enumerate(part.retained.values()):
                tensors[f"{stem}.retained.{k}"] = columns
            parts[name] = list(part.retained)
        content.append({"concept": asdict(one.concept), "retained": parts})
    short = {name: tensor.float().contiguous() for name, tensor in sorted(tensors.items())}
    text = json.dumps(content, sort_keys=True)
    return base64.b64encode(save(short, {"shares": text})).decode("ascii")


def from_text(text: str) -> tuple[MergeStatistics, ...]:
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


def _share(tensors: Mapping[str, Tensor], i: int, entry: Mapping) -> MergeStatistics:
    concept, streams = Concept(**entry["concept"]), {}
    for name, prompts in entry["retained"].items():
        stem = f"{i}.{name}"
        pairs = [
            Pairs(tensors[f"{stem}.{k}.concept"], tensors[f"{stem}.{k}.surrogate"])
            for k in range(1 + len(concept.descriptions))
        ]
        streams[name] = StreamStatistics(
            pairs[0],
            tuple(pairs[1:]),
            tensors[f"{stem}.before"],
            tensors[f"{stem}.alone"],
            {prompt: tensors[f"{stem}.retained.{k}"] for k, prompt in enumerate(prompts)},
        )
    return MergeStatistics(concept, streams)
