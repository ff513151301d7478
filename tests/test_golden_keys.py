"""The names of every family's layers in every tool's files, as ``fixtures/export_keys.json`` has
them: whoever changes a spelling sees which readers lose it.

    PYTHONPATH=tests python tests/test_golden_keys.py    # writes the fixture again
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from trace_erasure.artifact import lora_file
from trace_erasure.artifact.tools import TOOLS
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.registry import FAMILIES
from trace_erasure.testing.families import tiny

FILE = Path(__file__).parent / "fixtures" / "export_keys.json"
NUMBERS = re.compile(r"((?:blocks|attentions|layers|refiner|projection)[._])\d+")
"""Of blocks and the like: a list has one name for all of them."""


def patterns(name: str) -> dict[str, list[str]]:
    """By tool the names of the text-facing maps and of the layers of stage 2; # is a number."""
    denoiser = Denoiser(tiny(name))
    layers = denoiser.family.linears(denoiser.pipe, denoiser.family.adapters)
    for stream in denoiser.family.streams:
        layers |= denoiser.maps(stream.name)
    delta = {
        path: LowRank(torch.zeros(1, layer.in_features), torch.zeros(layer.out_features, 1))
        for path, layer in layers.items()
    }
    found = {"saved": lora_file.state_dict(delta, denoiser.family)}
    for tool, known in TOOLS.items():
        if name in known.spelling:
            found[tool] = lora_file.state_dict(delta, denoiser.family, known.spelling[name])
    return {
        tool: sorted({NUMBERS.sub(r"\1#", key) for key in tensors})
        for tool, tensors in found.items()
    }


@pytest.mark.parametrize("name", [family.name for family in FAMILIES])
def test_names_in_files_are_the_listed_ones(name):
    assert patterns(name) == json.loads(FILE.read_text())[name]


if __name__ == "__main__":
    listed = {family.name: patterns(family.name) for family in FAMILIES}
    FILE.write_text(json.dumps(listed, indent=1) + "\n")
