"""Erases concepts from text-to-image diffusion models, and measures what that did.

The public names below are loaded when they are first used, so that ``import trace_erasure``
stays instant: torch and diffusers come with the first name that needs them.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trace_erasure.capacity import capacity
    from trace_erasure.concept import Concept
    from trace_erasure.embedded import load_pipeline
    from trace_erasure.erase import erase
    from trace_erasure.erase_each import erase_each
    from trace_erasure.erasure import Erasure
    from trace_erasure.errors import InputError, NonFiniteError
    from trace_erasure.generate import generate
    from trace_erasure.merge import merge
    from trace_erasure.spec import ClosedForm, EraseSpec, Finetune, Merge

__version__ = "0.1.0"

__all__ = [
    "ClosedForm",
    "Concept",
    "EraseSpec",
    "Erasure",
    "Finetune",
    "InputError",
    "Merge",
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
    "ClosedForm": "spec",
    "Concept": "concept",
    "EraseSpec": "spec",
    "Erasure": "erasure",
    "Finetune": "spec",
    "InputError": "errors",
    "Merge": "spec",
    "NonFiniteError": "errors",
    "capacity": "capacity",
    "erase": "erase",
    "erase_each": "erase_each",
    "generate": "generate",
    "load_pipeline": "embedded",
    "merge": "merge",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps ``trace_erasure.erase`` the function, whatever was imported before.

    Importing a submodule sets an attribute of the package, and functions such as ``erase`` and
    ``generate`` have the names of the modules that they live in.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
