"""Which attacks run on which models and cases, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.core.models import BASE
from trace_erasure.attacks import unknown_concept
from trace_erasure.attacks.budget import Budget
from trace_erasure.attacks.runner import CONTROLS, budget_for, control_settings
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.concepts.concept import fill_template
from trace_erasure.utils.sharding import Shard

CHEAP = ("paraphrase", "typo", "synonym", "composition", "ring-a-bell")
"""Attacks that need text encoders alone, and run on every baseline."""
ORDER = (
    *CHEAP, "soft-prompt", "textual-inversion", "p4d", "unlearn-diff", "greedy-coordinate",
    "completion", "image-to-image", "inpainting", "noise", "relearn",
)  # fmt: skip
FROZEN: Mapping[str, Mapping[str, list[str]]] = yaml.safe_load(
    (Path(__file__).parent / "design.yaml").read_text("utf-8")
)
"""What hardening was designed on, apart from what it is tested on."""
CONCEPTS = tuple(FROZEN["tested"]["concepts"])
APART = tuple(FROZEN["tested"]["attacks"])
"""Attacks by text that took no part in the design of the hardening."""
CONTROLLED = 2
"""Concepts that costly attacks are controlled on; controls are there to be zero."""
PROMPTS = ("a {x}", "a picture of a {x}")
FIRST_SEED = 90_000


@dataclass(frozen=True)
class Unit:
    """One attack on one concept's erasure in one setting of the protocol."""

    attack: str
    setting: str
    method: str
    concept: str


def units_of(attack: str, methods: Sequence[str], concepts: Sequence[str]) -> Iterator[Unit]:
    """All the work of one attack."""
    controlled = concepts if attack in CHEAP else concepts[:CONTROLLED]
    for concept in concepts:
        yield Unit(attack, "original", BASE, concept)
    for method in methods:
        for concept in concepts:
            yield Unit(attack, "erased", method, concept)
            for setting in control_settings(attack) if concept in controlled else ():
                yield Unit(attack, setting, method, concept)


def shard_of_units(units: Sequence[Unit], methods: Sequence[str], shard: Shard) -> list[Unit]:
    """The units of one process: those of one erasure belong together, base with the first."""
    owners = [(unit.method if unit.method != BASE else methods[0], unit.concept) for unit in units]
    known = list(dict.fromkeys(owners))
    return [
        unit
        for unit, owner in zip(units, owners, strict=True)
        if known.index(owner) % shard[1] == shard[0]
    ]


def cases_of(unit: Unit, options: Any) -> list[AttackCase]:
    """Prompts and seeds; controls take the first of those that attacks take."""
    count = options.cases if unit.attack in CHEAP else options.costly_cases
    if unit.setting in CONTROLS:
        count = min(count, options.control_cases)
    name = unknown_concept.NAME if unit.setting == "unknown" else unit.concept
    return [
        AttackCase(fill_template(PROMPTS[i % len(PROMPTS)], name), FIRST_SEED + i)
        for i in range(count)
    ]


def budget_of(attack: str, options: Any) -> Budget:
    return budget_for(attack, Budget(options.images, options.gradients, options.encodings))
