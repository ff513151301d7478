"""The record of an artifact: typed, versioned data on what was erased, how, and with what figures.

A record is one of four kinds, told apart by ``kind``. Files of version 0.1.0 have no ``kind`` and
no ``schema_version``; what they hold says which it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, TypeAdapter

from trace_erasure.artifact.capacity import Capacity
from trace_erasure.artifact.certificate import Certificate
from trace_erasure.artifact.typed import Typed
from trace_erasure.artifact.verdict import ErasureVerdict
from trace_erasure.concepts.caption_source import CaptionSource
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import EraseConfig, MergeConfig

SCHEMA_VERSION = 1
TRACE, BASELINE, MERGE, CUSTOM = "trace", "baseline", "merge", "custom"
MARKS = ((TRACE, {"spec", "asked"}), (MERGE, {"merged"}), (BASELINE, {"method"}))
"""Kind and the keys of which a record of version 0.1.0 has at least one."""


class _RecordBase(Typed):
    """What every record holds.

    Attributes:
        schema_version: of this layout; readers refuse a later one.
        title: of the file; model browsers show it.
        description: of the file; model browsers show it.
        date: ISO 8601; None by default, so that the same erasure gives the same bytes.
        strength: the factor that is in the factors already; see ``Erasure.scaled``.
        retain: the prompts that were retained.
        certificate: the figures of stage 1, where there was one.
        verdict: what the figures of stage 1 make of it; None in files that have none.
        guarantee: what ``certify`` found.
        versions: package name to version.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    title: str = "Concept erasure"
    description: str = "Removes a concept. Use at strength 1."
    date: str | None = None
    strength: Annotated[float, Field(ge=0)] = 1.0
    retain: tuple[str, ...] = ()
    certificate: Certificate | None = None
    verdict: ErasureVerdict | None = None
    guarantee: dict[str, Any] | None = None
    versions: dict[str, str] = Field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON holds it."""
        return self.model_dump(mode="json")

    # Version 0.1.0 had a dict in this place.

    def __getitem__(self, key: str) -> Any:
        warnings.warn(
            f"record[{key!r}] is deprecated; use the attribute record.{key}.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.to_dict()[key]

    def __contains__(self, key: object) -> bool:
        return key in self.to_dict()

    def keys(self) -> Iterator[str]:
        return iter(self.to_dict())

    def get(self, key: str, default: Any = None) -> Any:
        warnings.warn(
            f"record.get({key!r}) is deprecated; use the attribute record.{key}.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.to_dict().get(key, default)


class TrajectoryProfile(Typed):
    """Where along a trajectory the concept appears; one energy a noise level."""

    noise_levels: list[float]
    energy: list[float]


class FinetuneRecord(Typed):
    """What stage 2 did.

    Attributes:
        noise_level: τ, at or below which states were steered.
        profile: from which τ was measured.
        final_loss: of the last step; empty where a run resumed after it.
    """

    noise_level: Annotated[float, Field(ge=0, le=1)]
    profile: TrajectoryProfile
    final_loss: list[float]


class TraceRecord(_RecordBase):
    """The record of an erasure by TRACE.

    Attributes:
        spec: the settings as they were used, surrogates and synonyms named.
        asked: the settings as they were given.
        finetune: what stage 2 did, where there was one.
        captions: which ordinary language was used; None in files that do not say.
    """

    kind: Literal["trace"] = TRACE
    spec: EraseConfig
    asked: EraseConfig
    finetune: FinetuneRecord | None = None
    captions: CaptionSource | None = None

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """What was erased."""
        return self.spec.concepts


class MethodRecord(Typed):
    """A published method: its name, its paper, its settings."""

    name: str
    source: str
    settings: dict[str, Any]


class BaselineRecord(_RecordBase):
    """The record of an erasure by another paper's method.

    Attributes:
        method: which, and its settings.
        concepts: what was erased.
        seed: of every random choice.
        figures: that the method itself gives.
    """

    kind: Literal["baseline"] = BASELINE
    method: MethodRecord
    concepts: tuple[Concept, ...]
    seed: int = 0
    figures: dict[str, Any] = Field(default_factory=dict)


class CrossTalk(Typed):
    """How far trained parts change each other's concepts, before and after isolation."""

    before: float
    after: float


class Discarded(Typed):
    """Share of energy that each part lost to a rank budget."""

    closed_form: float
    finetuned: float


class Integration(Typed):
    """The losses of the finetune of all parts together."""

    first_loss: float
    final_loss: float


class MergeDetails(Typed):
    """How artifacts became one.

    Attributes:
        parts: names of the artifacts.
        strengths: one an artifact.
        concepts: as they were solved together.
        settings: see ``MergeConfig``.
        capacity: stream name to what it had room for.
        seed: of the integration finetune.
    """

    parts: tuple[str, ...]
    strengths: tuple[float, ...]
    concepts: tuple[Concept, ...]
    settings: MergeConfig
    capacity: dict[str, Capacity]
    cross_talk: CrossTalk
    discarded: Discarded
    integrate: Integration | None = None
    seed: int = 0


class MergedRecord(_RecordBase):
    """The record of several artifacts that were merged."""

    kind: Literal["merge"] = MERGE
    merged: MergeDetails

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """What was erased."""
        return self.merged.concepts


class CustomRecord(_RecordBase):
    """The record of a change that none of the package's methods made.

    Attributes:
        concepts: what was erased, where that is known.
        details: whatever else is worth recording.
    """

    kind: Literal["custom"] = CUSTOM
    concepts: tuple[Concept, ...] = ()
    details: dict[str, Any] = Field(default_factory=dict)


def _kind(value: Any) -> str | None:
    """Which record ``value`` is: by its ``kind``, or in files of version 0.1.0 by its keys."""
    if isinstance(value, _RecordBase):
        return getattr(value, "kind", None)
    if not isinstance(value, Mapping):
        return None
    if "kind" in value:
        return value["kind"] if isinstance(value["kind"], str) else None
    return next((kind for kind, keys in MARKS if keys & value.keys()), CUSTOM)


Record = Annotated[
    Annotated[TraceRecord, Tag(TRACE)]
    | Annotated[BaselineRecord, Tag(BASELINE)]
    | Annotated[MergedRecord, Tag(MERGE)]
    | Annotated[CustomRecord, Tag(CUSTOM)],
    Discriminator(_kind),
]
"""A record of any kind."""

RECORD: TypeAdapter[Any] = TypeAdapter(Record)
