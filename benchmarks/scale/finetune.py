"""Stage 2 at the true sizes of published models, on a GPU: seconds a step and peak memory.

    python -m benchmarks scale-finetune [--families sd15 …]      # needs a CUDA GPU of 80 GiB

Whole pipelines of ``shapes.py`` with random weights in bfloat16 on the card, text encoders of the
true depth included, through ``trace.finetune``: few states of the teacher are recorded, then
training steps are taken with gradient checkpointing, the first of them unmeasured. Beside it what
``scale-memory`` has computed, for the same batch. A rollout is one pass without gradients of as
many states as go through the network at once by default.

Rows: a task a family and batch, method ``stage 2``: ``seconds`` a step, ``peak`` GiB of the steps
and ``computed`` for them, ``rollout`` GiB of such a pass beyond what was there before it,
``rollout_computed`` and ``rollout_seconds``. Rows of other families stay.
"""

from __future__ import annotations

import gc
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.core.rows import RESULTS, read_rows, replace_rows, rows_file
from benchmarks.scale.memory import GIB, states_of
from benchmarks.scale.shapes import RANDOM, SIZES, whole
from trace_erasure.concepts.concept import fill_template
from trace_erasure.concepts.steered_prompts import SteeredPrompts
from trace_erasure.concepts.templates import TEMPLATES
from trace_erasure.config import FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.evaluation import Row
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.rollouts import CHUNK
from trace_erasure.trace.finetune import finetune_adapter
from trace_erasure.trace.finetune_data import prepare_finetune_data
from trace_erasure.trace.training import StepRecord

BATCHES = {"sd15": (8,), "sdxl": (1, 8), "flux-dev": (1, 4)}
"""The default batch, or the largest that fits on 80 GiB."""
STEPS = 3
FEW = 4
"""Trajectories of the concept and of the rest: too few to learn from, enough for a batch."""


def measured(family: str) -> Iterator[tuple[int, dict[str, float]]]:
    """Batch and figures of one family."""
    rows = read_rows(rows_file("scale-memory", RANDOM, RESULTS))
    computed = {row.metric: row.value for row in rows if row.task == family}
    fixed = sum(computed[name] for name in ("network", "encoders", "adapter"))
    pipe = whole(SIZES[family], "cuda", torch.bfloat16)
    denoiser = Denoiser(pipe)
    rolled = rollout(denoiser)
    denoiser.network.enable_gradient_checkpointing()  # type: ignore[operator]
    for batch in BATCHES[family]:
        settings = FinetuneConfig(
            steps=STEPS,
            batch=batch,
            trajectories=FEW,
            retain_trajectories=FEW,
            sampler_steps=FEW,
        )
        prompts, others, kept = (
            [fill_template(template, word) for template in TEMPLATES["object"]]
            for word in ("fox", "cat", "dog")
        )
        with adapters.frozen(denoiser):
            steered = SteeredPrompts.own(prompts[:FEW], others[:FEW])
            data = prepare_finetune_data(denoiser, steered, kept[:FEW], settings, seed=0)
            torch.cuda.reset_peak_memory_stats()
            ended: list[float] = []

            def clock(step: StepRecord, ended: list[float] = ended) -> None:
                torch.cuda.synchronize()
                ended.append(time.perf_counter())

            finetune_adapter(denoiser, data, settings, seed=0, on_step=clock)
        yield (
            batch,
            {
                "seconds": (ended[-1] - ended[0]) / (len(ended) - 1),
                "peak": torch.cuda.max_memory_allocated() / GIB,
                "computed": fixed + states_of(settings) * computed["checkpointed"],
                **rolled,
                "rollout_computed": computed["rollout"],
            },
        )


@torch.no_grad()
def rollout(denoiser: Denoiser) -> dict[str, float]:
    """What one pass of all that goes through the network at once takes."""
    together = min(CHUNK, FinetuneConfig().retain_trajectories)
    count = max(CHUNK, together * (1 if denoiser.distilled else 2))
    conditioning = denoiser.encode(["a fox"])[[0] * count]
    states, timestep = denoiser.initial_states(range(count)), denoiser.timesteps(4)[1]
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before, started = torch.cuda.memory_allocated(), time.perf_counter()
    denoiser.predict(states, timestep, conditioning)
    torch.cuda.synchronize()
    return {
        "rollout": (torch.cuda.max_memory_allocated() - before) / GIB,
        "rollout_seconds": time.perf_counter() - started,
    }


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--families", nargs="+", default=[*BATCHES], choices=[*BATCHES])


def run(options: Namespace) -> None:
    if not torch.cuda.is_available():
        raise InputError("scale-finetune needs a CUDA GPU of 80 GiB, and torch finds none.")
    # With cuDNN's attention torch 2.11 reached for memory that was not its own, on FLUX.1 [dev].
    torch.backends.cuda.enable_cudnn_sdp(False)
    fields: dict[str, Any] = dict(judge="none", numerator=None, n=1, seed=0, concept="any")
    fields |= dict(low=float("nan"), high=float("nan"), model=RANDOM, method="stage 2")
    device = torch.cuda.get_device_name().replace(" ", "-")
    for family in options.families:
        rows = []
        for batch, figures in measured(family):
            how = f"device={device} precision=bfloat16 batch={batch} rank={FinetuneConfig().rank}"
            for metric, value in figures.items():
                task = f"{family}, batch {batch}"
                rows.append(Row(task=task, metric=metric, value=value, protocol=how, **fields))
                print(f"{task:20} {metric:18} {value:9.3f}", flush=True)
            replace_rows(
                "scale-finetune",
                RANDOM,
                rows,
                lambda row, of=family: row.task.partition(",")[0] != of,
                options.out,
            )
        gc.collect()
        torch.cuda.empty_cache()
