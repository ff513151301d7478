"""What takes long to show: interruptions at every step, and hundreds of cycles on one pipeline."""

from __future__ import annotations

import gc
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from trace_erasure import Concept, Erasure, FinetuneConfig, erase, generate
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion
from trace_erasure.trace import training
from trace_erasure.trace.training import StepRecord

FOX = Concept("fox", surrogate="dog")
STEPS = 60
FINETUNE = FinetuneConfig(
    steps=STEPS, rank=1, batch=2, trajectories=1, retain_trajectories=1, sampler_steps=2
)
CYCLES = 200
WARM = 20
"""Cycles before memory is compared: allocators and caches have filled up by then."""
GROWTH = 16
"""MiB that resident memory may differ by over all cycles after."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def finetuned(folder: Path | None = None, stop: int | None = None) -> Erasure:
    def on_step(record: StepRecord) -> None:
        if record.step == stop:
            raise KeyboardInterrupt

    return erase(
        tiny_stable_diffusion(),
        FOX,
        captions=CAPTIONS,
        finetune=FINETUNE,
        workdir=folder,
        on_step=on_step,
    )


@pytest.mark.study
def test_a_training_that_is_interrupted_at_any_step_ends_in_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 7)
    whole = finetuned()
    bytes_of_whole = whole.save(tmp_path / "whole").read_bytes()
    record: Any = whole.record
    for step in range(STEPS):
        folder = tmp_path / str(step)
        folder.mkdir()
        with pytest.raises(KeyboardInterrupt):
            finetuned(folder, stop=step)
        resumed = finetuned(folder)
        assert resumed.record.finetune.final_loss == record.finetune.final_loss  # type: ignore[union-attr]
        assert resumed.save(folder / "fox").read_bytes() == bytes_of_whole, step
        assert [file.name for file in folder.iterdir()] == ["fox.safetensors"]


def resident() -> float:
    """MiB of this process that are in memory."""
    gc.collect()
    status = Path("/proc/self/status").read_text("ascii")
    match = re.search(r"VmRSS:\s+(\d+)", status)
    assert match
    return int(match[1]) / 1024


@pytest.mark.study
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
def test_memory_stays_flat_and_the_original_is_unchanged_over_many_cycles():
    pipe = tiny_stable_diffusion()
    seeds = [0, 1]

    def draw() -> list[bytes]:
        return [image.tobytes() for image in generate(pipe, "a fox", seeds, steps=2)]

    original, keys = draw(), list(pipe.unet.state_dict())
    weights = {key: value.clone() for key, value in pipe.unet.state_dict().items()}
    erased: set[tuple[bytes, ...]] = set()
    memory: list[float] = []
    for _ in range(CYCLES):
        erasure = erase(pipe, FOX, captions=CAPTIONS)
        erasure.attach(pipe)
        erased.add(tuple(draw()))
        erasure.detach(pipe)
        assert draw() == original
        memory.append(resident())
    print(f"resident: {memory[0]:.0f}, {memory[WARM]:.0f}, {memory[-1]:.0f} MiB")
    assert len(erased) == 1 and tuple(original) not in erased
    assert list(pipe.unet.state_dict()) == keys
    assert all(torch.equal(value, weights[key]) for key, value in pipe.unet.state_dict().items())
    assert max(memory[WARM:]) - memory[WARM] < GROWTH
