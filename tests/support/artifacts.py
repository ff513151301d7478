"""Erasures of random numbers, and everything about a network that a user could notice."""

from __future__ import annotations

import torch
from peft import LoraConfig

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.record import CustomRecord
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import fingerprint


def make_erasure(pipe, seed: int = 0, size: float = 0.5, **changes) -> Erasure:
    """Random parts of mixed ranks on different layers, some in both parts."""
    generator = torch.Generator().manual_seed(seed)
    maps = list(Denoiser(pipe).maps().items())

    def part(layers, ranks):
        return {
            path: LowRank(
                size * torch.randn(rank, linear.in_features, generator=generator),
                size * torch.randn(linear.out_features, rank, generator=generator),
            )
            for (path, linear), rank in zip(layers, ranks, strict=True)
        }

    fields = {
        "family": "stable-diffusion",
        "base": fingerprint(pipe),
        "closed_form": part(maps[:5], [1, 3, 2, 1, 3]),
        "finetuned": part(maps[3:], [2, 2, 1, 2, 2][: len(maps) - 3]),
        "record": CustomRecord(
            title="Without foxes", details={"seed": 0, "noise_levels": [0.0, 0.6]}
        ),
    }
    return Erasure(**{**fields, **changes})


def snapshot(network) -> dict:
    """Everything about a network and its adapters that a user could notice."""
    layers = {
        path: (type(module), dict(getattr(module, "scaling", {})))
        for path, module in network.named_modules()
    }
    return {
        "layers": layers,
        "modules": [id(module) for module in network.modules()],
        "state": {name: tensor.clone() for name, tensor in network.state_dict().items()},
        "gradients": {name: p.requires_grad for name, p in network.named_parameters()},
        "adapters": list(getattr(network, "peft_config", {})),
        "active": network.active_adapters() if getattr(network, "peft_config", None) else [],
        "training": network.training,
    }


def assert_same(before: dict, after: dict) -> None:
    state, found = before["state"], after["state"]
    assert list(found) == list(state)
    assert all(torch.equal(found[name], state[name]) for name in state)
    assert {**after, "state": None} == {**before, "state": None}


def lora_on_text_encoder(pipe) -> None:
    """A LoRA of the user's own on the text encoder."""
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    pipe.text_encoder.add_adapter(config, "mine")
