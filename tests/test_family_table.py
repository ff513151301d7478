"""Every row of the table of families by the same checks, those that ``verified.json`` claims.

Tiny pipelines of the true classes with random weights: what is asserted holds for any weights.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline, FlowMatchEulerDiscreteScheduler

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.concept import Concept, ResolvedConcept, fill_template
from trace_erasure.config import ClosedFormConfig, FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families import flux
from trace_erasure.pipeline.families.registry import CHECKS, FAMILIES, REFUSED, family_of, verified
from trace_erasure.pipeline.sampler import to_pictures, to_states
from trace_erasure.testing.families import tiny
from trace_erasure.trace.closed_form import ClosedFormEdit, closed_form_edit
from trace_erasure.trace.erase import erase

CAPTIONS = [f"a photo of a {word}" for word in ("dog", "painting", "style")]
TEMPLATE = "a photo of a red {x}"
CONCEPT, SURROGATE = (fill_template(TEMPLATE, word) for word in ("fox", "horse"))
EXACT = ClosedFormConfig(directions=None, ridge=1e-2)
QUICK = FinetuneConfig(
    steps=1, batch=1, rank=2, trajectories=1, retain_trajectories=1, sampler_steps=3,
    noise_level=0.8,
)  # fmt: skip
WIDTHS = {
    "stable-diffusion": 256,
    "stable-diffusion-xl": 256,
    "stable-diffusion-3": 384,
    "flux": 256,
    "flux-2": 384,
    "flux-2-dev": 384,
}
"""Of token embeddings, for an exact edit: padding that is heard takes its own directions."""
SIDES = {"sana": 32}
"""Pixels, where the pipeline does not take 16."""


SINGLE = {"kandinsky-5": ("time_embeddings",)}
"""Modules that the network itself runs in float32, whatever the rest is in."""


def wide(name: str) -> Any:
    pipe = tiny(name, width=WIDTHS.get(name, 128)).to(torch.float64)
    for path, module in Denoiser(pipe).network.named_modules():
        if path.rpartition(".")[2] in SINGLE.get(name, ()):
            module.float()
    return pipe


def redirect(denoiser: Denoiser) -> ClosedFormEdit:
    concept = ResolvedConcept("fox", surrogate="horse", templates=(TEMPLATE,))
    return closed_form_edit(denoiser, [concept], [SURROGATE], EXACT, CAPTIONS)


def path_of(denoiser: Denoiser, prompt: str) -> list[torch.Tensor]:
    """Every state of a rollout at guidance 4, and the last."""
    seen: list[torch.Tensor] = []
    last = denoiser.rollout(
        denoiser.encode([prompt]), denoiser.unconditional(), [3], steps=3, guidance=4.0,
        on_state=lambda states, *_: seen.append(states.clone()),
    )  # fmt: skip
    return [*seen, last]


def furthest(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """The greatest relative difference of two paths at any step."""
    return max(float((a - b).norm() / b.norm()) for a, b in zip(one, other, strict=True))


def exact_redirect(name: str, folder: Path) -> None:
    """Edited model on the concept = base model on the surrogate, at every step under guidance."""
    denoiser = Denoiser(wide(name))
    result = redirect(denoiser)
    wanted, before = path_of(denoiser, SURROGATE), path_of(denoiser, CONCEPT)
    adapters.attach(denoiser, result.delta, "edit")
    assert furthest(before[-1:], wanted[-1:]) > 1e-3  # there was something to redirect
    assert furthest(path_of(denoiser, CONCEPT), wanted) < 1e-4
    assert furthest(path_of(denoiser, SURROGATE), wanted) < 1e-4


def closed_doors(name: str, folder: Path) -> None:
    """Without one stream's edit, or with one direction of it missing, the concept gets in."""
    denoiser = Denoiser(wide(name))
    result = redirect(denoiser)
    wanted = path_of(denoiser, SURROGATE)
    for stream in denoiser.family.streams:
        doors = set(denoiser.maps(stream.name))
        assert doors <= set(result.delta)
        open_one = {p: change for p, change in result.delta.items() if p not in doors}
        ajar = {p: _without_a_direction(change) for p, change in result.delta.items() if p in doors}
        for delta in (open_one, {**open_one, **ajar}):
            delta = {path: change for path, change in delta.items() if change.rank}
            if delta:
                adapters.attach(denoiser, delta, "edit")
            assert furthest(path_of(denoiser, CONCEPT), wanted) > 1e-4, stream.name
            if delta:
                adapters.detach(denoiser, "edit")


def _without_a_direction(change: LowRank) -> LowRank:
    """The change but for the direction that does most."""
    strength = change.down.norm(dim=1) * change.up.norm(dim=0)
    kept = strength.argsort()[:-1]
    return LowRank(change.down[kept], change.up[:, kept])


def one_step_solver(name: str) -> tuple[Any, Denoiser]:
    """A tiny pipeline and its denoiser, at its own noise schedule by a solver of one step."""
    pipe = tiny(name)
    denoiser = Denoiser(pipe)
    kind = FlowMatchEulerDiscreteScheduler if denoiser.prediction == "flow" else DDIMScheduler
    if not isinstance(pipe.scheduler, kind):
        pipe.scheduler = kind.from_config(denoiser.scheduler.config)
    return pipe, denoiser


def own_sampling(name: str, folder: Path) -> None:
    """The rollout of this package's own is the pipeline's, unguided and guided."""
    pipe, denoiser = one_step_solver(name)
    for guidance in (1.0, 4.0):
        got = denoiser.rollout(
            denoiser.encode([CONCEPT]), denoiser.unconditional(), [3], steps=4, guidance=guidance
        )
        (drawn,) = called(pipe, [3], guidance, "latent")
        expected = unpacked(pipe, drawn[None], got)
        assert furthest([got], [expected]) < 1e-6, guidance


def unpacked(pipe: Any, latents: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """What a pipeline answers as latents, as states: most move rows of patches."""
    family = family_of(pipe)
    if latents.ndim == like.ndim:  # maybe as the VAE gets them
        return latents if latents.shape == like.shape else family.to_states(pipe, latents)
    if like.shape[1] == latents.shape[-1]:  # states are patches
        return latents.mT.unflatten(2, like.shape[-2:])
    return flux.unpack(latents, *like.shape[-2:])


def same_pictures(name: str, folder: Path) -> None:
    """States become the pipeline's own pictures, and pictures states."""
    pipe, denoiser = one_step_solver(name)
    family = denoiser.family
    states = denoiser.rollout(
        denoiser.encode([CONCEPT]), denoiser.unconditional(), [3], steps=2, guidance=1.0
    )
    (picture,) = to_pictures(denoiser, states)
    (drawn,) = called(pipe, [3], 1.0, "pil", steps=2)
    assert np.abs(np.asarray(picture, int) - np.asarray(drawn, int)).max() <= 1
    latents = family.to_latents(pipe, states)
    torch.testing.assert_close(family.to_states(pipe, latents), states)
    assert to_states(denoiser, [picture]).shape == states.shape


def called(pipe: Any, seeds: list[int], guidance: float, kind: str, steps: int = 4) -> list[Any]:
    """What ``pipe`` itself draws of the concept and the surrogate, one a seed."""
    family = family_of(pipe)
    side = SIDES.get(family.name, 16)
    answer = pipe(
        prompt=[CONCEPT, SURROGATE][: len(seeds)], num_inference_steps=steps, output_type=kind,
        height=side, width=side,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        **family.guided_by(guidance, len(seeds)), **family.call_options(pipe),
    )  # fmt: skip
    return list(family.pictures(answer))


def sample_pictures(pipe: Any) -> torch.Tensor:
    return torch.stack([torch.as_tensor(x) for x in called(pipe, [0, 1], 3.0, "np", 2)])


def files(name: str, folder: Path) -> None:
    """Both stages make a file, which plain diffusers and this package read to the same pictures.

    Where diffusers loads no LoRA, the merged checkpoint does it. No other family takes the file.
    """
    pipe = tiny(name)
    fox = Concept("fox", surrogate="horse", templates=(TEMPLATE,))
    base = sample_pictures(pipe)
    # To an untrained text encoder all words are near: only the network finds no synonyms.
    made = erase(pipe, fox, finetune=QUICK, captions=CAPTIONS, search="network")
    path = made.save(folder / "fox")
    erasure = Erasure.load(path)
    assert erasure.closed_form and erasure.finetuned and erasure.family == name
    with erasure.attach(pipe):
        expected = sample_pictures(pipe)
    change = float((expected - base).abs().max())
    assert change > 5e-4
    torch.testing.assert_close(sample_pictures(pipe), base)
    if family_of(pipe).mixin:
        other = tiny(name)
        other.load_lora_weights(folder, weight_name=path.name)
    else:
        assert not hasattr(pipe, "load_lora_weights")
        erasure.fuse(pipe).save_pretrained(folder / "merged")
        other = DiffusionPipeline.from_pretrained(folder / "merged")
        other.set_progress_bar_config(disable=True)
    torch.testing.assert_close(sample_pictures(other), expected, atol=0.02 * change, rtol=0)
    stranger = "flux" if name == "stable-diffusion" else "stable-diffusion"
    with pytest.raises(InputError, match=rf"made for {name}, .* is {stranger}\."):
        erasure.attach(tiny(stranger))


SLOW: set[str] = set()
RUN: dict[str, Callable[[str, Path], None]] = {
    "exact redirect": exact_redirect,
    "closed doors": closed_doors,
    "own sampling": own_sampling,
    "same pictures": same_pictures,
    "files": files,
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("name", "check"),
    [
        pytest.param(name, check, marks=[pytest.mark.slow] if check in SLOW else [])
        for name, checks in verified().items()
        for check in checks
    ],
)
def test_what_the_table_claims_of_a_family_holds(name, check, tmp_path):
    RUN[check](name, tmp_path)


def test_the_claims_are_of_the_table_s_families_and_of_checks_that_exist():
    assert list(verified()) == [family.name for family in FAMILIES]
    assert set(RUN) == set(CHECKS)
    assert all(set(checks) <= set(RUN) for checks in verified().values())


def test_every_family_names_the_loader_that_its_pipelines_have():
    import diffusers

    for family in FAMILIES:
        for pipeline in family.pipelines:
            mixins = {kind.__name__ for kind in getattr(diffusers, pipeline).__mro__}
            found = {name for name in mixins if name.endswith("LoraLoaderMixin")}
            assert found == ({family.mixin} if family.mixin else set()), pipeline


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_edited_is_refused_with_the_reason(name):
    with pytest.raises(InputError, match=rf"{name} cannot be edited: "):
        family_of(type(name, (), {})())


def test_wan_with_a_second_network_is_refused():
    pipe = tiny("wan")
    pipe.register_modules(transformer_2=pipe.transformer)
    with pytest.raises(InputError, match="WanPipeline cannot be edited: it has a second network"):
        family_of(pipe)


def test_a_surrogate_of_another_length_is_warned_of_where_the_network_sees_it(caplog):
    for name, warned in (("z-image", True), ("flux", False)):
        denoiser = Denoiser(tiny(name, width=WIDTHS["flux"]))
        concept = ResolvedConcept("fox", surrogate="red horse", templates=(TEMPLATE,))
        closed_form_edit(denoiser, [concept], [], ClosedFormConfig(directions=1), CAPTIONS)
        assert ("differ by 1 tokens" in caplog.text) is warned
        caplog.clear()
