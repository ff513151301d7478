"""What one concept brings to a joint solve, small enough to travel in its artifact."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import MinLen
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from trace_erasure.artifact.provenance import invalid
from trace_erasure.artifact.typed import Typed
from trace_erasure.concepts.concept import Concept, ResolvedConcept
from trace_erasure.errors import InputError
from trace_erasure.math.column_pairs import Pairs


@dataclass(frozen=True, eq=False)
class StreamStatistics:
    """What a concept contributes to a joint solve in one stream of text.

    Groups of columns are summaries: their squares add up to the mean of what they stand for.

    Attributes:
        pairs: columns to redirect.
        described: what leads in each description of the concept and in its other forms, to be
            redirected, too.
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

    concept: ResolvedConcept
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


def from_text(text: str, file: Path | str = "this file") -> tuple[MergeStatistics, ...]:
    """The inverse of ``to_text``, up to float32.

    Raises:
        InputError: for anything else; the message names ``file`` and the problem.
    """
    try:
        data = base64.b64decode(text, validate=True)
        tensors = load(data)
        head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        entries = _ENTRIES.validate_json(head.get("__metadata__", {}).get("shares", ""))
    except ValidationError as error:
        raise invalid(file, "trace_erasure.shares", error) from error
    except (binascii.Error, SafetensorError, ValueError) as error:
        raise _unreadable(file, str(error)) from error
    try:
        return tuple(_statistics(tensors, i, entry) for i, entry in enumerate(entries))
    except KeyError as error:
        raise _unreadable(file, f"the tensor {error} is missing") from error
    except InputError as error:
        raise _unreadable(file, str(error)) from error


class _Entry(Typed):
    """One concept; for each stream the retained prompts, in the order of their tensors."""

    concept: Concept
    retained: Annotated[dict[str, list[str]], MinLen(1)]


_ENTRIES = TypeAdapter(list[_Entry])


def _statistics(tensors: Mapping[str, Tensor], i: int, entry: _Entry) -> MergeStatistics:
    if entry.concept.surrogate is None:
        raise InputError(f"the concept {entry.concept.phrase!r} has no surrogate")
    streams = {}
    for name, prompts in entry.retained.items():
        stem = f"{i}.{name}"
        width = len(tensors[f"{stem}.before"])

        def columns(key: str, stem: str = stem, width: int = width) -> Tensor:
            found = tensors[f"{stem}.{key}"]
            if found.ndim != 2 or len(found) != width:
                raise InputError(f"{stem}.{key} is {tuple(found.shape)}, not {width} by any number")
            if not found.is_floating_point() or not found.isfinite().all():
                raise InputError(f"{stem}.{key} holds values that are not finite numbers")
            return found.double()

        pairs = []
        described = len(entry.concept.descriptions)
        while f"{stem}.{described + 1}.concept" in tensors:  # spelled out, or found by hardening
            described += 1
        for k in range(1 + described):
            concept, surrogate = columns(f"{k}.concept"), columns(f"{k}.surrogate")
            if concept.shape != surrogate.shape:
                raise InputError(f"{stem}.{k}: concept and surrogate have different shapes")
            pairs.append(Pairs(concept, surrogate))
        streams[name] = StreamStatistics(
            pairs[0],
            tuple(pairs[1:]),
            columns("before"),
            columns("alone"),
            {prompt: columns(f"retained.{k}") for k, prompt in enumerate(prompts)},
        )
    return MergeStatistics(ResolvedConcept.of(entry.concept), streams)


def _unreadable(file: Path | str, problem: str) -> InputError:
    return InputError(
        f"{file}: the header entry 'trace_erasure.shares' cannot be read ({problem}). "
        "Make the erasure again."
    )
