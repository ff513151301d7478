"""Which settings every method may try in a sweep."""

from __future__ import annotations

from benchmarks.comparison.methods import BOTH_STAGES, Overrides

BUDGET = 4
"""Settings that TRACE and every method that trains may try, the published ones among them. Closed
forms of others may try more: every form that their authors released is one."""

_SENTENCES = {"templates": True}
# A ridge holds nothing exactly: where it is the default, `keep` has no effect without this mode.
_HELD = {"mode": "equality", "keep": 48}
_ALL_TOKENS = {"columns": "tail", "preserve_scale": 0.1}
"""UCE as released in 2023; with the surrogate as the guide it is the strongest on objects."""
_OBJECTS = {"rounds": 1, "penalty": 0.1, "retained": "all"}
"""RECE as released for objects."""
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
        _ALL_TOKENS,
        {**_ALL_TOKENS, "guide": None},
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
    "rece": [
        {},
        {"guide": None},
        {"rounds": 1},
        {"guide": None, "penalty": 0.05},
        _OBJECTS,
        {**_OBJECTS, "guide": None},
    ],
    "speed": [
        {},
        {"guide": None, "penalty": 0.05},
        {"guide": None, "penalty": 0.05, "templates": True},
        {"guide": None, "penalty": 0.005, "templates": True},
        {"average": True, "templates": True},
        {"guide": None, "penalty": 0.05, "average": True, "templates": True},
    ],
}
