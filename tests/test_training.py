"""The training loop and its checkpoints: a run that is interrupted ends in the same bytes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from trace_erasure.config import FinetuneConfig
from trace_erasure.errors import InputError, NonFiniteError
from trace_erasure.testing import tiny_stable_diffusion
from trace_erasure.trace import training
from trace_erasure.trace.erase import erase
from trace_erasure.trace.training import StepRecord, TrainingConfig, draw_indices, train

CAPTIONS = [f"a picture of a {word}" for word in ("dog", "tree", "house", "red car", "boat")]
STEPS = 5
OPTIONS: dict[str, Any] = dict(
    surrogate="cat",
    closed_form=None,
    captions=CAPTIONS,
    finetune=FinetuneConfig(
        steps=STEPS,
        batch=2,
        rank=2,
        trajectories=2,
        retain_trajectories=3,
        sampler_steps=3,
        noise_level=0.6,
    ),
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Bytes of an erasure whose training was never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return erase(tiny_stable_diffusion(), "fox", **OPTIONS).save(folder / "fox").read_bytes()


def interrupt_after(step: int, folder) -> None:
    """Erases with a checkpoint in ``folder`` and stops once ``step`` is done."""

    def stop(record: StepRecord) -> None:
        if record.step == step:
            raise KeyboardInterrupt

    pipe = tiny_stable_diffusion()
    keys = set(pipe.unet.state_dict())
    with pytest.raises(KeyboardInterrupt):
        erase(pipe, "fox", **OPTIONS, workdir=folder, on_step=stop)
    assert set(pipe.unet.state_dict()) == keys


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("last", [0, 1, 3, STEPS - 1])
def test_an_interrupted_run_ends_in_the_same_bytes(every, last, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", every)
    folder = tmp_path / "work"
    folder.mkdir()
    interrupt_after(last, folder)
    kept = STEPS if last == STEPS - 1 else (last + 1) // every * every
    assert len(list(folder.glob("finetune-*.safetensors"))) == (1 if kept else 0)
    steps: list[int] = []
    resumed = erase(
        tiny_stable_diffusion(),
        "fox",
        **OPTIONS,
        workdir=folder,
        on_step=lambda record: steps.append(record.step),
    )
    assert steps == list(range(kept, STEPS))
    assert resumed.save(tmp_path / "fox").read_bytes() == whole


def test_a_checkpoint_is_deleted_once_the_erasure_is_saved(tmp_path, monkeypatch):
    erasure = erase(tiny_stable_diffusion(), "fox", **OPTIONS, workdir=tmp_path)
    (checkpoint,) = tmp_path.glob("finetune-*.safetensors")
    with pytest.raises(InputError, match="cannot write"):
        erasure.save(tmp_path / "missing" / "fox")
    assert checkpoint.exists()
    file = erasure.save(tmp_path / "fox")
    assert list(tmp_path.glob("*.safetensors")) == [file]


def _step(tensors):
    tensors["step"] = torch.tensor(10**6)


def _losses(tensors):
    tensors["losses"] = tensors["losses"][:-1]


def _shape(tensors):
    key = next(key for key in tensors if key.endswith("|value"))
    tensors[key] = tensors[key][:1]


def _missing(tensors):
    del tensors[next(key for key in tensors if key.endswith("|mean"))]


def _not_finite(tensors):
    key = next(key for key in tensors if key.endswith("|square"))
    tensors[key][0] = torch.nan


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_step, r"step 1000000 is not within the 5 steps"),
        (_losses, r"1 losses for 2 steps"),
        (_shape, r"has shape .* instead of"),
        (_missing, r"missing or unexpected"),
        (_not_finite, r"is not finite"),
        (None, r"cannot be read"),
    ],
)
def test_a_damaged_checkpoint_is_refused_with_the_remedy(damage, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 1)
    interrupt_after(1, tmp_path)
    (checkpoint,) = tmp_path.glob("finetune-*.safetensors")
    if damage is None:
        checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    else:
        tensors = load_file(checkpoint)
        damage(tensors)
        save_file(tensors, checkpoint)
    pipe = tiny_stable_diffusion()
    keys = set(pipe.unet.state_dict())
    with pytest.raises(InputError, match=rf"finetune-\w+.safetensors: .*{reason}.*Delete the file"):
        erase(pipe, "fox", **OPTIONS, workdir=tmp_path)
    assert checkpoint.exists() and set(pipe.unet.state_dict()) == keys


def test_the_module_whose_gradient_is_not_finite_is_named():
    first, second = (torch.zeros(2, requires_grad=True) for _ in range(2))
    with pytest.raises(NonFiniteError, match=r"block\.to_v is not finite at step 0"):
        train(
            {"block.to_k": first, "block.to_v": second},
            lambda *_: {"term": first.sum() + second.sqrt().sum()},
            TrainingConfig(1, 0.1, {"term": 1.0}, max_grad_norm=1.0),
            seed=0,
            label="test",
        )


def test_the_learning_rate_rises_and_then_falls_to_zero():
    rates = [TrainingConfig(20, 2.0, {}, warmup=4).learning_rate_at(step) for step in range(21)]
    assert rates[0] == 0.5 and rates[20] == pytest.approx(0, abs=1e-12)
    assert max(rates) == rates[3]
    assert all(a > b for a, b in pairwise(rates[3:]))
    assert TrainingConfig(20, 2.0, {}).learning_rate_at(19) == 2.0


def test_a_masked_weight_does_not_move_and_a_clipped_gradient_is_recorded_whole():
    weight = torch.zeros(2, requires_grad=True)
    records: list[StepRecord] = []
    losses = train(
        {"w": weight},
        lambda *_: {"term": (weight - 1).square().sum()},
        TrainingConfig(3, 0.1, {"term": 0.5}, max_grad_norm=1e-3),
        seed=0,
        label="test",
        gradient_masks={"w": torch.tensor([1.0, 0.0])},
        on_step=records.append,
    )
    assert weight[0] > 0.2 and weight[1] == 0
    assert records[0].grad_norm == pytest.approx(1.0)
    assert losses == [record.loss for record in records] and losses[0] == 1.0


def test_indices_are_drawn_with_replacement():
    generator = torch.Generator().manual_seed(0)
    index = torch.tensor([3, 5])
    assert set(draw_indices(index, 50, generator).tolist()) == {3, 5}
    assert not len(draw_indices(index[:0], 4, generator))
