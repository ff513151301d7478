"""Settings by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trace_erasure.config.checks import check
from trace_erasure.config.finetune import FinetuneConfig

PRESETS: dict[str, dict[str, Any]] = {
    "fast": {},
    "trace": {"finetune": FinetuneConfig()},
    "hardened": {"hardening": "closed_form"},
}
"""Settings of ``EraseConfig`` by name: the closed form alone, in seconds; the method of the paper,
both stages; and what holds against typing errors and prompts that were searched for."""


def preset(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a preset, with ``given`` ones in their place.

    Raises ``InputError`` for an unknown name.

    >>> preset("trace", {"hardening": "off"})["finetune"] == FinetuneConfig()
    True
    """
    check(isinstance(name, str) and name in PRESETS, "preset", name, ", ".join(PRESETS))
    return {**PRESETS[name], **given}
