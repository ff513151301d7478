"""Erases concepts from text-to-image diffusion models, and measures what that did.

The public names below are loaded when they are first used, so that ``import trace_erasure``
stays instant: torch and diffusers come with the first name that needs them.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from trace_erasure.utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.attacks.attack import attack
    from trace_erasure.concepts.concept import Concept
    from trace_erasure.config import ClosedFormConfig, EraseConfig, FinetuneConfig, MergeConfig
    from trace_erasure.errors import InputError, NonFiniteError
    from trace_erasure.evaluation.runs.evaluate import evaluate
    from trace_erasure.guarantees.certify import certify
    from trace_erasure.guarantees.forecast import forecast
    from trace_erasure.math.closed_form import Edit
    from trace_erasure.math.second_moment import SecondMoment
    from trace_erasure.pipeline.generate import generate
    from trace_erasure.pipeline.loading import load_pipeline
    from trace_erasure.trace.capacity import capacity
    from trace_erasure.trace.erase import erase
    from trace_erasure.trace.erase_each import erase_each
    from trace_erasure.trace.erase_pack import erase_pack
    from trace_erasure.trace.merge import merge

__version__ = "0.1.0"

__all__ = [
    "ClosedFormConfig",
    "Concept",
    "Edit",
    "EraseConfig",
    "Erasure",
    "FinetuneConfig",
    "InputError",
    "MergeConfig",
    "NonFiniteError",
    "SecondMoment",
    "__version__",
    "attack",
    "capacity",
    "certify",
    "erase",
    "erase_each",
    "erase_pack",
    "evaluate",
    "forecast",
    "generate",
    "load_pipeline",
    "merge",
]

_HOMES = {
    "ClosedFormConfig": "config",
    "Concept": "concepts.concept",
    "Edit": "math.closed_form",
    "EraseConfig": "config",
    "Erasure": "artifact.erasure",
    "FinetuneConfig": "config",
    "InputError": "errors",
    "MergeConfig": "config",
    "NonFiniteError": "errors",
    "SecondMoment": "math.second_moment",
    "attack": "attacks.attack",
    "capacity": "trace.capacity",
    "certify": "guarantees.certify",
    "erase": "trace.erase",
    "erase_each": "trace.erase_each",
    "erase_pack": "trace.erase_pack",
    "evaluate": "evaluation.runs.evaluate",
    "forecast": "guarantees.forecast",
    "generate": "pipeline.generate",
    "load_pipeline": "pipeline.loading",
    "merge": "trace.merge",
}

# Old names, for one release.
_DEPRECATED = {
    "ClosedForm": "ClosedFormConfig",
    "EraseSpec": "EraseConfig",
    "Finetune": "FinetuneConfig",
    "Merge": "MergeConfig",
}


_load, __dir__ = lazy_names(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if name in _DEPRECATED:
        new = _DEPRECATED[name]
        warnings.warn(
            f"trace_erasure.{name} is now trace_erasure.{new}; the old name goes with the next "
            "release.",
            DeprecationWarning,
            stacklevel=2,
        )
        name = new
    return _load(name)
