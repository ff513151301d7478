"""Adversarial hardening: what gets past stage 1 meets a network that will not draw it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.captions import world_captions
from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.steered_prompts import SteeredPrompts
from trace_erasure.config import ADVERSARIAL_FINETUNE, EraseConfig, FinetuneConfig
from trace_erasure.math.lowrank import LowRank
from trace_erasure.math.objectives import mean_square
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.loading import load_pipeline
from trace_erasure.pipeline.rollouts import collect_rollouts, predict_at
from trace_erasure.testing import tiny_flux, tiny_sd3, tiny_sdxl, tiny_stable_diffusion
from trace_erasure.trace import finetune as stage2
from trace_erasure.trace import hardening_search
from trace_erasure.trace.adversary import regenerate
from trace_erasure.trace.erase import erase
from trace_erasure.trace.finetune_data import prepare_finetune_data
from trace_erasure.trace.request import resolve

CAPTIONS = [f"a picture of a {word}" for word in ("dog", "tree", "house", "red car", "boat")]
QUICK = FinetuneConfig(
    steps=2, batch=2, rank=2, trajectories=2, retain_trajectories=2, sampler_steps=3,
    noise_level=0.6,
)  # fmt: skip
SENTENCES = ("a picture of a {x}", "a {x}")
FAMILIES = (tiny_stable_diffusion, tiny_sdxl, tiny_sd3, tiny_flux)


def drawn(shape: tuple[int, int], rank: int, size: float, seed: int) -> LowRank:
    generator = torch.Generator().manual_seed(seed)
    up, down = (
        torch.randn(n, m, generator=generator) for n, m in ((shape[0], rank), (rank, shape[1]))
    )
    return LowRank(down * size / shape[1] ** 0.5, up * size)


@pytest.mark.parametrize("make", FAMILIES)
def test_behind_the_text_nothing_can_tell_a_perfect_attack_from_stage_1_undone(make):
    """(W + D)e' = We at every text-facing map, and the network's answer is the one that it was
    trained to give with stage 1 undone."""
    denoiser = Denoiser(make())
    family, pipe = denoiser.family, denoiser.pipe
    prompt = denoiser.encode(["a picture of a fox"])
    width = prompt.tokens.shape[-1]
    inner = drawn((width, width), 2, 0.3, 0)
    stage_1 = {}
    for path, layer in family.linears(pipe, family.stream("tokens").maps).items():
        stage_1[path] = LowRank(inner.down, layer.weight.detach().float() @ inner.up)
    behind = family.behind_text(pipe)
    assert behind and not {*behind} & {*stage_1}
    trained = {
        path: drawn((layer.out_features, layer.in_features), 2, 0.3, i + 1)
        for i, (path, layer) in enumerate(behind.items())
    }
    undo = torch.linalg.inv(torch.eye(width) + inner.dense())
    attack = replace(prompt, tokens=(prompt.tokens.float() @ undo.mT).to(prompt.tokens))
    states, time = denoiser.initial_states([0]), denoiser.timesteps(4)[2:3]
    adapters.attach(denoiser, stage_1, "stage_1")
    adapters.attach(denoiser, trained, "stage_2")
    with torch.no_grad():
        erased = denoiser.predict(states, time, prompt)
        attacked = denoiser.predict(states, time, attack)
        with adapters.switched_off(denoiser, "stage_1"):
            undone = denoiser.predict(states, time, prompt)
    assert adapters.strength_of(denoiser, "stage_1") == 1
    assert (attacked - undone).norm() < 1e-3 * (erased - undone).norm()


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_stable_diffusion, tiny_flux])
def test_the_training_leaves_the_text_facing_maps_to_stage_1(make, tmp_path, monkeypatch):
    monkeypatch.setattr(hardening_search, "GENERATIONS", 5)
    denoiser = Denoiser(make())
    maps = {
        path
        for stream in denoiser.family.streams
        for path in denoiser.family.linears(denoiser.pipe, stream.maps)
    }
    options = {"surrogate": "dog", "captions": CAPTIONS, "finetune": QUICK}
    hard = erase(denoiser.pipe, "fox", hardening="closed_form", **options)
    adversarial = erase(denoiser.pipe, "fox", hardening="adversarial", **options)
    assert not maps & {*adversarial.finetuned}
    assert any(change.up.abs().max() > 0 for change in adversarial.finetuned.values())
    for path, change in hard.closed_form.items():
        assert torch.equal(change.up, adversarial.closed_form[path].up)
    again = Erasure.load(adversarial.save(tmp_path / "fox"))  # an ordinary file, as any other
    assert {*again.delta} == {*adversarial.delta}


def test_it_brings_its_own_training_unless_told_otherwise():
    denoiser = Denoiser(tiny_stable_diffusion())
    spec = EraseConfig((Concept("fox", surrogate="dog"),), hardening="adversarial")
    assert resolve(denoiser, spec, CAPTIONS).spec.finetune == ADVERSARIAL_FINETUNE
    assert resolve(denoiser, replace(spec, finetune=QUICK), CAPTIONS).spec.finetune == QUICK
    assert resolve(denoiser, replace(spec, hardening="closed_form"), CAPTIONS).spec.finetune is None


@pytest.mark.slow
def test_an_adversary_without_stage_1_meets_the_surrogate_and_others_notice_little(monkeypatch):
    """On the embedded model, after a twentieth of the usual training."""
    monkeypatch.setattr(stage2, "regenerate", partial(regenerate, steps=1))
    pipe = load_pipeline("emoji-sd")
    denoiser = Denoiser(pipe)
    settings = replace(
        ADVERSARIAL_FINETUNE, steps=12, batch=4, trajectories=4, retain_trajectories=8,
        sampler_steps=6, noise_level=0.7,
    )  # fmt: skip
    asked, instead = ([t.format(x=x) for t in SENTENCES] for x in ("fox", "dog"))
    stage_1 = erase(pipe, "fox", surrogate="dog").closed_form
    adapters.attach(denoiser, stage_1, "stage_1")
    prompts = SteeredPrompts.own(asked, instead)
    data = prepare_finetune_data(denoiser, prompts, world_captions()[:8], settings, seed=0)
    switch_off = partial(adapters.switched_off, denoiser, "stage_1")
    found = stage2.finetune_adapter(denoiser, data, settings, 0, switch_off=switch_off)
    assert len(found.losses) == settings.steps
    tuned = found.delta
    adapters.detach(denoiser, "stage_1")

    def states_of(prompt: str):
        said = denoiser.encode([prompt])
        rollouts = collect_rollouts(
            denoiser, said, [70, 80], steps=12, guidance_scale=3.0, label="test"
        )
        return rollouts[(rollouts.noise_levels <= 0.7).nonzero()[:, 0]], said

    fox, other = states_of(asked[0]), states_of("a picture of a red car")
    e_p, e_r = predict_at(denoiser, *fox), predict_at(denoiser, *other)
    e_s = predict_at(denoiser, fox[0], denoiser.encode(instead[:1]))
    adapters.attach(denoiser, tuned, "stage_2")  # stage 1 is not there at all
    gap = mean_square(e_p - e_s).mean()
    assert mean_square(predict_at(denoiser, *fox) - e_s).mean() < 0.5 * gap
    assert mean_square(predict_at(denoiser, *other) - e_r).mean() < 0.1 * gap
