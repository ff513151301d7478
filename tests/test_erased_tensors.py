"""The shipped models' erasures are the same tensors, whatever moves in the code.

``fixtures/erased_tensors.json`` holds, for each erasure, the SHA-256 of its factors on the machine
that made it, and a sketch of every map's change: three fixed combinations of its outputs at four
fixed inputs. A hash changes with the processor's rounding, a sketch does not.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from trace_erasure import erase, load_pipeline
from trace_erasure.math.lowrank import LowRank

FIXTURES = json.loads((Path(__file__).parent / "fixtures/erased_tensors.json").read_text())
KINDS = {"fox": "object", "neon": "style", "Mira Solberg": "identity"}


def sketch(change: LowRank) -> torch.Tensor:
    """Three combinations of the change's outputs at four random inputs, (12,) float64."""
    inputs = torch.randn(
        change.down.shape[1], 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    outputs = change.up.double() @ (change.down.double() @ inputs)
    mix = torch.randn(
        3, len(outputs), generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    return (mix @ outputs).flatten()


@pytest.mark.parametrize("model", ["emoji-sd", "emoji-flux"])
def test_erasures_are_the_same_tensors(model):
    pipe = load_pipeline(model)
    for name, kind in KINDS.items():
        delta = erase(pipe, name, kind=kind).delta
        expected = FIXTURES[f"{model}/{name}"]["sketch"]
        assert set(delta) == set(expected)
        scale = max(torch.tensor(row).abs().max() for row in expected.values())
        for path, change in delta.items():
            wanted = torch.tensor(expected[path], dtype=torch.float64)
            torch.testing.assert_close(sketch(change), wanted, rtol=0, atol=float(1e-4 * scale))
