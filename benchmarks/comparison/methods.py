"""The methods that are compared, with settings of theirs changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trace_erasure.baselines.base import Baseline, Method
from trace_erasure.baselines.registry import METHODS
from trace_erasure.baselines.trace import Trace
from trace_erasure.config import ClosedFormConfig, FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser

BOTH_STAGES = "trace, both stages"
"""TRACE with its finetune, too: what that adds to the closed form, at the price of a training."""
COMPARED: dict[str, Method] = {
    "trace": METHODS["trace"],
    BOTH_STAGES: Trace(finetune=FinetuneConfig()),
    **METHODS,
}
DEFAULTS = {"closed_form": ClosedFormConfig(), "finetune": FinetuneConfig()}
"""What settings of a stage that is off start from."""

Overrides = Mapping[str, Any]


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


def seeded(method: Method) -> bool:
    """Whether another seed makes another erasure: a closed form has one, whatever the seed."""
    if isinstance(method, Trace):
        return method.finetune is not None or method.hardening == "adversarial"
    return not isinstance(method, Baseline) or method.SEEDED


def usable(pipe: Any, names: Sequence[str]) -> list[str]:
    """The methods that support the pipeline's family; prints the others."""
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
