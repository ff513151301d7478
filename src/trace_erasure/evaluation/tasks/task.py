"""What an evaluation draws and what a judge must find: plain data with a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from trace_erasure.errors import InputError, shown
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.utils.sequences import evenly_spaced

GROUPS = (
    "target",
    "synonym",
    "template",
    "pair",
    "hint",
    "category",
    "implied",
    "unseen",
    "dual",
    "scene",
    "retain",
)
# Everything that reaches the concept by another road than its own name in a trained wording.
# ``implied`` prompts name a scene that often shows it, ``unseen`` ones a scene that no method knew.
GENERAL = ("synonym", "template", "pair", "hint", "category", "implied", "unseen")
# What should stay: the scenes that imply the concept, without it, and everything else.
KEPT = ("scene", "retain")


@dataclass(frozen=True)
class Item:
    """One picture to draw and the label that a judge must see in it.

    Attributes:
        prompt, seed: what is drawn.
        group: one of ``GROUPS``.
        concept: the concept that it belongs to; for ``retain``, the one that is erased meanwhile.
        expects: judge labels, any of which counts as seen, for example ``("subject/fox",)``.
        companion: in a pair, the label of the other object, which should stay.
        text: what scorers read in place of the prompt; in ``dual``, the prompt without the concept.
        copy: number of the repeat, where a public list holds a prompt and seed several times.
        alias: what stands for the prompt wherever it is shown, so that an offensive one never is.
    """

    prompt: str
    seed: int
    group: str
    concept: str
    expects: tuple[str, ...]
    companion: str = ""
    text: str = ""
    copy: int = 0
    alias: str = ""

    @cached_property
    def id(self) -> str:
        """Hash of all fields but the alias, 16 hexadecimal digits."""
        names = ("prompt", "seed", "group", "concept", "expects", "companion")
        known = {name: getattr(self, name) for name in names}
        # Only where set: items without them keep the ids that they have always had.
        known |= {name: value for name in ("text", "copy") if (value := getattr(self, name))}
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]

    @property
    def shown(self) -> str:
        """The prompt, or its alias."""
        return self.alias or self.prompt


def items_digest(ids: Iterable[str]) -> str:
    """``count:hash`` of a set of item ids, whatever their order."""
    ids = sorted(ids)
    return f"{len(ids)}:{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class JudgingProtocol:
    """The fields that must agree before two numbers may stand in one table.

    ``str`` writes them as ``task=objects version=1 …`` and ``parse`` reads that back, so that a
    stored number explains itself.
    """

    task: str
    version: str
    items: str
    scheduler: str
    steps: str
    guidance_scale: str
    size: str
    precision: str = "any"

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in asdict(self).items())

    @classmethod
    def parse(cls, text: str) -> JudgingProtocol:
        """The inverse of ``str``. Raises ``InputError`` for anything else."""
        pairs = dict(part.split("=", 1) for part in text.split(" ") if "=" in part)
        if set(pairs) != {one.name for one in fields(cls)}:
            raise InputError(
                f"not a protocol: {text!r}. Rows carry what str(task.protocol()) gives; "
                "make the rows again with this version."
            )
        return cls(**pairs)

    def differences(self, other: JudgingProtocol) -> dict[str, tuple[str, str]]:
        """Field name to the two values, for the fields that differ."""
        mine, yours = asdict(self), asdict(other)
        return {key: (mine[key], yours[key]) for key in mine if mine[key] != yours[key]}


@dataclass(frozen=True)
class Task:
    """A named, versioned list of items and how to sample them.

    Attributes:
        metrics: columns of its table, keys of ``metrics.METRICS``; empty for the usual ones.
        judges: names of the judges, as in the task file; see ``judges.judges_for``.
        quirks: name to sentence: where a published protocol is odd, and what is done about it.
        notes: what reading its prompt file found, with counts.
    """

    name: str
    version: int
    items: tuple[Item, ...]
    sampling: Sampling = Sampling()
    description: str = ""
    metrics: tuple[str, ...] = ()
    judges: tuple[Mapping[str, Any], ...] = ()
    quirks: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.items:
            raise InputError(f"task {shown(self.name)} has no items. Give it at least one.")
        if " " in self.name:
            raise InputError(f"task name {shown(self.name)} has a space. Use a hyphen.")
        for item in self.items:
            if item.group not in GROUPS:
                raise InputError(
                    f"item group {shown(item.group)} in task {shown(self.name)} is unknown. "
                    f"Allowed: {', '.join(GROUPS)}."
                )
        if len({item.id for item in self.items}) != len(self.items):
            raise InputError(
                f"task {shown(self.name)} holds an item twice. Remove the repeated prompt or seed."
            )

    @cached_property
    def _by_concept(self) -> dict[str, list[Item]]:
        found: dict[str, list[Item]] = {}
        for item in self.items:
            found.setdefault(item.concept, []).append(item)
        return found

    @property
    def concepts(self) -> tuple[str, ...]:
        return tuple(self._by_concept)

    def of(self, concept: str) -> tuple[Item, ...]:
        """The items of one concept."""
        return tuple(self._by_concept.get(concept, ()))

    def protocol(self, concept: str | None = None) -> JudgingProtocol:
        """What a number measured on this task (or on one concept of it) rests on."""
        items = self.items if concept is None else self.of(concept)
        how = self.sampling
        size = f"{how.width}x{how.height}" if how.height and how.width else "native"
        return JudgingProtocol(
            task=self.name,
            version=str(self.version),
            items=items_digest(item.id for item in items),
            scheduler=how.scheduler or "native",
            steps=str(how.steps),
            guidance_scale=f"{how.guidance_scale:g}",
            size=size,
        )

    def protocol_hash(self) -> str:
        """Hash of prompts, seeds, expectations and sampling, 16 hexadecimal digits."""
        return hashlib.sha256(str(self.protocol()).encode()).hexdigest()[:16]

    def subset(self, concepts: Sequence[str] | None = None, per_group: int | None = None) -> Task:
        """A smaller task: some concepts, at most ``per_group`` items a group.

        Items are taken evenly over the group. Fewer items are another protocol; fewer concepts
        are not, except for what is averaged over concepts.

        Raises:
            InputError: a concept is not in the task.
        """
        wanted = self.concepts if concepts is None else tuple(concepts)
        for concept in wanted:
            if concept not in self.concepts:
                raise InputError(
                    f"task {shown(self.name)} has no concept {concept!r}. "
                    f"It has: {', '.join(self.concepts)}."
                )
        kept: list[Item] = []
        for concept in wanted:
            for group in GROUPS:
                items = [item for item in self.of(concept) if item.group == group]
                kept += evenly_spaced(items, len(items) if per_group is None else per_group)
        return replace(self, items=tuple(kept))
