"""Erases concepts from text-to-image diffusion models, and measures what that did.

The public names below are loaded when they are first used, so that ``import trace_erasure``
stays instant: torch and diffusers come with the first name that needs them.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.concepts.concept import Concept
    from trace_erasure.config import ClosedFormConfig, EraseConfig, FinetuneConfig, MergeConfig
    from trace_erasure.errors import InputError, NonFiniteError
    from trace_erasure.pipeline.generate import generate
    from trace_erasure.pipeline.shipped import load_pipeline
    from trace_erasure.trace.capacity import capacity
    from trace_erasure.trace.erase import erase
    from trace_erasure.trace.erase_each import erase_each
    from trace_erasure.trace.merge import merge

__version__ = "0.1.0"

__all__ = [
    "ClosedFormConfig",
    "Concept",
    "EraseConfig",
    "Erasure",
    "FinetuneConfig",
    "InputError",
    "MergeConfig",
    "NonFiniteError",
    "__version__",
    "capacity",
    "erase",
    "erase_each",
    "generate",
    "load_pipeline",
    "merge",
]

_HOMES = {
    "ClosedFormConfig": "config",
    "Concept": "concepts.concept",
    "EraseConfig": "config",
    "Erasure": "artifact.erasure",
    "FinetuneConfig": "config",
    "InputError": "errors",
    "MergeConfig": "config",
    "NonFiniteError": "errors",
    "capacity": "trace.capacity",
    "erase": "trace.erase",
    "erase_each": "trace.erase_each",
    "generate": "pipeline.generate",
    "load_pipeline": "pipeline.shipped",
    "merge": "trace.merge",
}

# Old names, for one release.
_DEPRECATED = {
    "ClosedForm": "ClosedFormConfig",
    "EraseSpec": "EraseConfig",
    "Finetune": "FinetuneConfig",
    "Merge": "MergeConfig",
}


def __getattr__(name: str) -> Any:
    if name in _DEPRECATED:
        new = _DEPRECATED[name]
        warnings.warn(
            f"trace_erasure.{name} is now trace_erasure.{new}; the old name goes with the next "
            "release.",
            DeprecationWarning,
            stacklevel=2,
        )
        return __getattr__(new)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
