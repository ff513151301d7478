"""GPU memory of stage 2 at the true sizes of published models: computed from shapes, not measured.

    python -m benchmarks scale-memory

The pipelines of ``shapes.py`` lie on torch's meta device, in bfloat16 and with text encoders of the
true depth; one training step of stage 2 runs there, which needs no memory, and every tensor that
autograd keeps for the backward pass is counted, as is what a rollout holds at its peak. Attention
is counted as memory-efficient kernels do it, which keep their inputs and their output. Not
counted: the VAE, the driver, what kernels and the backward pass need for a moment, and fragments;
``RESERVE`` of a card is left free for them.

Rows: a task a family, method ``stage 2``, in GiB: ``network``, ``encoders``, ``adapter`` (LoRA
factors, gradients and AdamW's two moments as float32, more than half precision needs), ``bank``
(states, the teacher's outputs and text embeddings at default settings), ``state`` (what one state
of a batch keeps for the backward pass), ``checkpointed`` (the same with gradient checkpointing),
``rollout`` (what the trajectories hold at once, at the default settings),
and the smallest of ``CARDS`` on which all of it fits with gradient checkpointing, ``card`` at the
default batch and ``card_least`` at ``batch=1``; nan where none does.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from peft import LoraConfig
from torch import Tensor, nn

from benchmarks.core.rows import write_rows
from benchmarks.scale.counting import Kept, Live, attend, bytes_of
from benchmarks.scale.shapes import RANDOM, SIZES, outline
from trace_erasure.concepts.templates import TEMPLATES
from trace_erasure.config import FinetuneConfig
from trace_erasure.evaluation import Row
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.rollouts import CHUNK

GIB = 2**30
CARDS = (8, 12, 16, 24, 40, 48, 80, 141)
RESERVE = 0.1
BLOCKS = {
    "BasicTransformerBlock",
    "ResnetBlock2D",
    "JointTransformerBlock",
    "FluxTransformerBlock",
    "FluxSingleTransformerBlock",
}
"""What diffusers' gradient checkpointing computes again as a whole."""
SENTENCES = len(TEMPLATES["object"])


def held_of(denoiser: Denoiser, conditioning: Conditioning) -> int:
    """Bytes that one state holds at the peak of a pass without gradients."""
    state = state_of(denoiser)
    with (
        torch.no_grad(),
        Live(denoiser.network) as live,
        patch.object(F, "scaled_dot_product_attention", attend),
    ):
        denoiser.predict(state, torch.ones(1, device="meta"), conditioning)
    return live.peak


def state_of(denoiser: Denoiser) -> Tensor:
    shape = denoiser.family.state_shape(denoiser.pipe, None, None)
    return torch.empty(1, *shape, dtype=denoiser.dtype, device="meta")


def kept_of(denoiser: Denoiser, conditioning: Conditioning) -> tuple[int, int]:
    """Bytes that one state keeps for the backward pass: in all, and in the largest block."""
    state = state_of(denoiser)
    counted, largest, begun = Kept(denoiser.network), 0, {}

    def before(block: nn.Module, *_: Any) -> None:
        begun[block] = counted.total

    def after(block: nn.Module, *_: Any) -> None:
        nonlocal largest
        largest = max(largest, counted.total - begun[block])

    blocks = [m for m in denoiser.network.modules() if type(m).__name__ in BLOCKS]
    hooks = [block.register_forward_pre_hook(before) for block in blocks]
    hooks += [block.register_forward_hook(after) for block in blocks]
    with (
        torch.autograd.graph.saved_tensors_hooks(counted.pack, lambda tensor: tensor),
        patch.object(F, "scaled_dot_product_attention", attend),
    ):
        output = denoiser.predict(state, torch.ones(1, device="meta"), conditioning)
    assert output.requires_grad
    for hook in hooks:
        hook.remove()
    return counted.total, largest


def states_of(settings: FinetuneConfig) -> int:
    """States in one batch: late and early ones, those of the empty prompt, retained ones."""
    half = settings.batch // 2
    return settings.batch + half + max(1, half) + 2 * settings.batch


def bank_of(denoiser: Denoiser, text: int, settings: FinetuneConfig) -> int:
    """Bytes of the states of stage 2, the teacher's float32 outputs and the text embeddings.

    ``text`` is the bytes of one prompt's embeddings.
    """
    state = state_of(denoiser).numel()
    concept, retained = (
        count * settings.sampler_steps
        for count in (settings.trajectories, settings.retain_trajectories)
    )
    # Of the concept: e_p, e_0, e_s and e_ref. Of the retained: e_r, and where guidance is not
    # distilled also the rollout's prediction for the empty prompt.
    outputs = 4 * concept + (1 if denoiser.family.distilled else 2) * retained
    prompts = 2 * SENTENCES + settings.retain_trajectories + 1
    return state * ((concept + retained) * denoiser.dtype.itemsize + outputs * 4) + prompts * text


def budget(family: str) -> dict[str, float]:
    """The figures of one family in GiB."""
    pipe = outline(SIZES[family])
    pipe.set_progress_bar_config(disable=True)
    encoders = [x for name, x in pipe.components.items() if name.startswith("text_encoder") and x]
    for part in (Denoiser(pipe).network, *encoders):
        part.to(torch.bfloat16).requires_grad_(False)
    denoiser, settings = Denoiser(pipe), FinetuneConfig()
    network = bytes_of(denoiser.network)
    width = {stream.name: _width(denoiser, stream.name) for stream in denoiser.family.streams}
    positions = sum(length for _, length in denoiser.segments())
    tokens = torch.empty(1, positions, width["tokens"], dtype=denoiser.dtype, device="meta")
    pooled = None
    if "pooled" in width:
        pooled = torch.empty(1, width["pooled"], dtype=denoiser.dtype, device="meta")
    conditioning = Conditioning(tokens, pooled)
    text = sum(x.nbytes for x in (tokens, pooled) if x is not None)
    layers = denoiser.family.linears(denoiser.pipe, denoiser.family.adapters)
    # ``adapt`` refuses weights that are not there, rightly.
    adapted: Any = denoiser.network
    adapted.add_adapter(LoraConfig(r=settings.rank, target_modules=list(layers)))
    parameters = sum(p.numel() for p in denoiser.network.parameters() if p.requires_grad)
    # A chunk of trajectories, with the empty prompt beside the prompts unless guidance is built in.
    together = min(CHUNK, settings.retain_trajectories) * (1 if denoiser.family.distilled else 2)
    rollout = max(together, CHUNK) * held_of(denoiser, conditioning)
    state, block = kept_of(denoiser, conditioning)
    adapted.enable_gradient_checkpointing()
    inputs, _ = kept_of(denoiser, conditioning)
    found = {
        "network": network,
        "encoders": sum(map(bytes_of, encoders)),
        "adapter": parameters * 4 * 4,
        "bank": bank_of(denoiser, text, settings),
        "state": state,
        "checkpointed": inputs + block,
        "rollout": rollout,
    }
    found = {name: value / GIB for name, value in found.items()}
    fixed = sum(found[name] for name in ("network", "encoders", "adapter", "bank"))
    for name, batch in (("card", settings.batch), ("card_least", 1)):
        step = states_of(replace(settings, batch=batch)) * found["checkpointed"]
        needed = fixed + max(step, found["rollout"])
        fits = [card for card in CARDS if needed <= card * (1 - RESERVE)]
        found[f"needed_{name}"], found[name] = needed, min(fits, default=float("nan"))
    return found


def _width(denoiser: Denoiser, stream: str) -> int:
    """Of what a stream carries: of SDXL's pooled vector, the first columns of its map alone."""
    (first, *_) = denoiser.maps(stream).values()
    if stream == "tokens" or denoiser.family.name != "stable-diffusion-xl":
        return first.in_features
    return denoiser.pipe.text_encoder_2.config.projection_dim


def run(options: Namespace) -> None:
    settings = FinetuneConfig()
    fields: dict[str, Any] = dict(judge="none", numerator=None, n=1, seed=0, concept="any")
    fields |= dict(low=float("nan"), high=float("nan"), model=RANDOM)
    fields |= dict(protocol=f"precision=bfloat16 batch={settings.batch} rank={settings.rank}")
    rows = []
    for family in SIZES:
        for metric, value in budget(family).items():
            rows.append(Row(task=family, method="stage 2", metric=metric, value=value, **fields))
            print(f"{family:10} {metric:16} {value:9.3f}", flush=True)
    write_rows("scale-memory", RANDOM, rows, options.out)
