"""Every method by name, with its published defaults.

    from trace_erasure.methods.registry import METHODS
    erasure = METHODS["esd-x"].erase(pipe, [Concept("fox")])

``dataclasses.replace(METHODS["esd-x"], steps=50)`` has other settings.
"""

from __future__ import annotations

from trace_erasure.baselines.ant import ANTMulti, ANTSingle
from trace_erasure.baselines.base import Method
from trace_erasure.baselines.eraseanything import EraseAnything
from trace_erasure.baselines.esd import ESD
from trace_erasure.baselines.mace import MACE
from trace_erasure.baselines.rece import RECE
from trace_erasure.baselines.speed import SPEED
from trace_erasure.baselines.trace import Trace
from trace_erasure.baselines.uce import UCE
from trace_erasure.errors import InputError

METHODS: dict[str, Method] = {
    "trace": Trace(),
    "esd-x": ESD("x"),
    "esd-u": ESD("u"),
    "uce": UCE(),
    "mace": MACE(),
    "ant-single": ANTSingle(),
    "ant-multi": ANTMulti(),
    "eraseanything": EraseAnything(),
    "rece": RECE(),
    "speed": SPEED(),
}


def method(name: str) -> Method:
    """The method of that name. Raises ``InputError`` naming those that there are."""
    if name not in METHODS:
        raise InputError(f"there is no method {name!r}. Choose one of: {', '.join(METHODS)}.")
    return METHODS[name]
