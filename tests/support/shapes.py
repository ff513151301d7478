"""Checks the types and shapes of ``math`` while tests run."""

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""Beartype with the rule of type checkers that an int passes for a float."""


def check_shapes() -> None:
    """Checks every call into ``trace_erasure.math``, if that is imported afterwards."""
    install_import_hook("trace_erasure.math", "support.shapes.checked")
