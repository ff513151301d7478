"""Which methods are compared, which settings each may try, and TRACE with its parts changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from trace_erasure.baselines.base import Baseline, Method
from trace_erasure.baselines.registry import METHODS
from trace_erasure.baselines.trace import Trace
from trace_erasure.config import MODES, ClosedFormConfig, FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser

BOTH_STAGES = "trace, both stages"
"""TRACE with its training, too: what that adds to the closed form, at the price of a training."""
COMPARED: dict[str, Method] = {
    "trace": METHODS["trace"],
    BOTH_STAGES: Trace(finetune=FinetuneConfig()),
    **METHODS,
}
DEFAULTS = {"closed_form": ClosedFormConfig(), "finetune": FinetuneConfig()}
"""What settings of a stage that is off start from."""
BUDGET = 4
"""Settings that every method may try, the published ones among them."""

Overrides = Mapping[str, Any]

_SENTENCES = {"templates": True}
# A ridge holds nothing exactly, so where it is the default more held says nothing without this.
_HELD = {"mode": "equality", "keep": 48}
LEVELS = (0.7, 0.95, 0.98)
"""ANT's τ beside the published 0.87 and 0.90: below, and as far up as a window is left above it."""
GRID: dict[str, list[Overrides]] = {
    "trace": [
        {},
        {"closed_form": {"directions": 4}},
        {"closed_form": {"directions": 16}},
        {"closed_form": _HELD},
    ],
    BOTH_STAGES: [
        {},
        {"finetune": {"learning_rate": 2e-3}},
        {"closed_form": {"directions": 16}},
        {"closed_form": _HELD},
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
    # Beside the published ten steps: as many as TRACE's stage 2, at four times the published rate.
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
    return {"closed_form": settings}


def _stage_2(**settings: Any) -> Overrides:
    return {"finetune": settings}


ABLATION: dict[str, Overrides] = {
    "default": {},
    **{mode: _stage_1(mode=mode) for mode in MODES},
    **{f"{n} directions": _stage_1(directions=n) for n in (4, 16)},
    **{f"equality, {n} held": _stage_1(mode="equality", keep=n) for n in (0, 48)},
    "both stages": _stage_2(),
    **{f"both stages, {window} window": _stage_2(window=window) for window in ("early", "all")},
    "both stages, no early hold": _stage_2(early=0.0),
    "both stages, no retain term": _stage_2(retain=0.0),
    **{f"both stages, rank {rank}": _stage_2(rank=rank) for rank in (1, 16)},
    **{f"both stages, {name}": _stage_2(objective=name) for name in ("reverse_cfg", "margin")},
    **{
        f"stage 2 alone, {window} window": {"closed_form": None, **_stage_2(window=window)}
        for window in ("late", "early", "all")
    },
}
"""TRACE, which is stage 1 alone, with one part changed; with stage 2 added, and that with one part
changed; and stage 2 without stage 1, where its windows are seen best. The default has 8 directions,
24 held, and of ``MODES`` the one that fits the family, which thus repeats it: equality on emoji-sd,
ridge on emoji-flux. Stage 2 has the late window, rank 4 and ``anchor``."""


def configured(name: str, overrides: Overrides) -> Method:
    """A method with some of its settings changed; TRACE's stages by mappings of theirs, which also
    switch on a stage that is off."""
    method: Any = COMPARED[name]
    return replace(
        method,
        **{
            key: replace(getattr(method, key) or DEFAULTS[key], **value)
            if isinstance(value, Mapping)
            else value
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
