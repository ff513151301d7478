"""Which methods are compared, which settings each may try, and the parts of TRACE taken out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from trace_erasure.denoiser import Denoiser
from trace_erasure.errors import InputError
from trace_erasure.methods.method import Baseline, Method
from trace_erasure.methods.registry import METHODS
from trace_erasure.methods.trace import Trace

STAGE_1 = "trace, stage 1"
"""TRACE without its training: what the closed form alone does at the price of a closed form."""
COMPARED: dict[str, Method] = {"trace": METHODS["trace"], STAGE_1: Trace(finetune=None), **METHODS}
BUDGET = 4
"""Settings that every method may try, the published ones among them."""

Overrides = Mapping[str, Any]

_SENTENCES = {"templates": True}
LEVELS = (0.7, 0.95, 0.98)
"""ANT's τ beside the published 0.87 and 0.90: below, and as far up as a window is left above it."""
GRID: dict[str, list[Overrides]] = {
    "trace": [
        {},
        {"closed_form": {"directions": 16}},
        {"closed_form": {"keep": 48}},
        {"finetune": {"learning_rate": 2e-3}},
    ],
    STAGE_1: [
        {},
        {"closed_form": {"directions": 4}},
        {"closed_form": {"directions": 16}},
        {"closed_form": {"keep": 48}},
    ],
    "esd-x": [{}, *({**_SENTENCES, "learning_rate": rate} for rate in (2e-4, 5e-4, 1e-3))],
    "esd-u": [{}, *({**_SENTENCES, "learning_rate": rate} for rate in (1e-4, 2e-4, 5e-4))],
    "uce": [
        {},
        {"templates": True},
        {"guide": None, "templates": True},
        {"guide": None, "templates": True, "penalty": 0.05},
    ],
    "mace": [
        {},
        {"penalty": 0.1, "ordinary": 1.0, "learning_rate": 1e-4},
        {"penalty": 0.1, "ordinary": 1.0, "learning_rate": 1e-3},
        {"penalty": 0.1, "ordinary": 10.0, "learning_rate": 1e-3},
    ],
    "ant-single": [{}, *({**_SENTENCES, "noise_level": level} for level in LEVELS)],
    # Beside the published ten steps: as many as TRACE takes, at four times the published rate.
    "ant-multi": [
        {},
        *(
            {**_SENTENCES, "noise_level": level, "steps": 60, "learning_rate": 2e-3}
            for level in LEVELS
        ),
    ],
    "eraseanything": [{}, {"attention": 0.1}, {"learning_rate": 3e-3}, {"flow": 1.0}],
    "rece": [{}, {"guide": None}, {"rounds": 1}, {"guide": None, "penalty": 0.05}],
    "speed": [
        {},
        {"guide": None, "penalty": 0.05},
        {"guide": None, "penalty": 0.05, "templates": True},
        {"guide": None, "penalty": 0.005, "templates": True},
    ],
}


def _stage_1(**settings: Any) -> Overrides:
    return {"finetune": None, "closed_form": settings}


def _stage_2(**settings: Any) -> Overrides:
    return {"finetune": settings}


ABLATION: dict[str, Overrides] = {
    "default": {},
    "stage 1 alone": {"finetune": None},
    **{f"stage 1, {mode}": _stage_1(mode=mode) for mode in ("ridge", "null_space")},
    **{f"stage 1, {n} directions": _stage_1(directions=n) for n in (4, 16)},
    **{f"stage 1, {n} held": _stage_1(keep=n) for n in (0, 48)},
    "stage 2 alone, late": {"closed_form": None},
    **{
        f"stage 2 alone, {window}": {"closed_form": None, **_stage_2(window=window)}
        for window in ("early", "all")
    },
    **{f"window {window}": _stage_2(window=window) for window in ("early", "all")},
    "without early hold": _stage_2(early=0.0),
    "without retain term": _stage_2(retain=0.0),
    **{f"rank {rank}": _stage_2(rank=rank) for rank in (1, 16)},
    **{name: _stage_2(objective=name) for name in ("reverse_cfg", "margin")},
}
"""TRACE with one part changed: equality, 8 directions, 24 held, the late window, rank 4 and
``anchor`` are the default. What stage 2 does is seen best without stage 1, so its windows stand
alone as well."""


def configured(name: str, overrides: Overrides) -> Method:
    """A method with some of its settings changed; TRACE's stages by mappings of theirs."""
    method: Any = COMPARED[name]
    return replace(
        method,
        **{
            key: replace(getattr(method, key), **value) if isinstance(value, Mapping) else value
            for key, value in overrides.items()
        },
    )


def key_of(method: Method) -> str:
    """The settings in a word, for what is kept under --work."""
    text = json.dumps(asdict(method), sort_keys=True)  # type: ignore[call-overload]
    kind = method.NAME if isinstance(method, Baseline) else "trace"
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def usable(pipe: Any, names: Sequence[str]) -> list[str]:
    """The methods that are made for the pipeline's family; says which are not."""
    denoiser, found = Denoiser(pipe), []
    for name in names:
        method = COMPARED[name]
        try:
            if isinstance(method, Baseline):
                method.check(denoiser)
            found.append(name)
        except InputError as error:
            print(f"{name} is left out: {error}")
    return found
