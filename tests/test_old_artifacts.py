"""Files that version 0.1.0 wrote still load: one of each kind, from tiny random pipelines."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trace_erasure import Erasure
from trace_erasure.testing import tiny_stable_diffusion

FOLDER = Path(__file__).parent / "fixtures/artifacts"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.safetensors")), ids=lambda file: file.stem)
def test_an_artifact_of_the_first_version_loads_and_acts(file):
    erasure = Erasure.load(file)
    pipe = tiny_stable_diffusion()
    weights = {path: change.dense().norm() for path, change in erasure.delta.items()}
    assert max(weights.values()) > 0
    with erasure.attach(pipe):
        pass
    assert erasure.record.versions["trace-erasure"] == "0.1.0"


def test_every_kind_is_there():
    kinds = {file.stem for file in FOLDER.glob("*.safetensors")}
    assert kinds == {"trace", "both-stages", "hardened", "merged", "baseline"}


def test_merging_reads_old_artifacts():
    from trace_erasure import Concept, erase, merge

    pipe = tiny_stable_diffusion()
    captions = ["a photo of a dog", "a red horse", "a painting of a horse", "a dog and a horse"]
    old = Erasure.load(FOLDER / "trace.safetensors")
    new = erase(pipe, Concept("horse", surrogate="dog"), captions=captions)
    both = merge([old, new], pipe, captions=captions)
    assert all(torch.isfinite(change.up).all() for change in both.delta.values())
