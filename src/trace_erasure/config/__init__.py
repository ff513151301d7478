"""The settings of an erasure and of a merge, as plain frozen data."""

from trace_erasure.config.closed_form import MODES, ClosedFormConfig
from trace_erasure.config.erase import HARDENING, SEARCHES, EraseConfig
from trace_erasure.config.finetune import (
    ADVERSARIAL_FINETUNE,
    LAYERS,
    LEVELS_BY,
    WINDOWS,
    FinetuneConfig,
)
from trace_erasure.config.merge import MergeConfig
from trace_erasure.config.presets import PRESETS, preset

__all__ = [
    "ADVERSARIAL_FINETUNE",
    "HARDENING",
    "LAYERS",
    "LEVELS_BY",
    "MODES",
    "PRESETS",
    "SEARCHES",
    "WINDOWS",
    "ClosedFormConfig",
    "EraseConfig",
    "FinetuneConfig",
    "MergeConfig",
    "preset",
]
