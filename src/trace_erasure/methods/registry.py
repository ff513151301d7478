"""Every method by name, with its published defaults.

    from trace_erasure.methods.registry import METHODS
    erasure = METHODS["esd-x"].erase(pipe, [Concept("fox")])

``dataclasses.replace(METHODS["esd-x"], steps=50)`` has other settings.
"""

from __future__ import annotations

from trace_erasure.errors import InputError
from trace_erasure.methods.ant import ANTMulti, ANTSingle
from trace_erasure.methods.eraseanything import EraseAnything
from trace_erasure.methods.esd import ESD
from trace_erasure.methods.mace import MACE
from trace_erasure.methods.method import Method
from trace_erasure.methods.rece import RECE
from trace_erasure.methods.speed import SPEED
from trace_erasure.methods.trace import Trace
from trace_erasure.methods.uce import UCE

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
