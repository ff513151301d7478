"""Every family by the same code: exact redirects, the pipelines' own sampling, training, files.

Tiny random pipelines throughout: what is asserted holds for any weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

from trace_erasure import adapt, export
from trace_erasure.columns import Span, align
from trace_erasure.concept import Concept, fill
from trace_erasure.denoiser import Denoiser
from trace_erasure.erase import erase
from trace_erasure.erasure import Erasure
from trace_erasure.errors import InputError
from trace_erasure.families import flux
from trace_erasure.fingerprint import fingerprint
from trace_erasure.math.diffusion import Path
from trace_erasure.spec import ClosedForm, Finetune
from trace_erasure.spec_file import parse_spec
from trace_erasure.stages import steer as stage2
from trace_erasure.stages.redirect import forecast, redirect
from trace_erasure.testing import tiny_flux, tiny_sd3, tiny_sdxl, tiny_stable_diffusion

POSITIONS = 48
CAPTIONS = [f"a picture of a {word}" for word in ("dog", "tree", "house", "red car", "boat")]
TEMPLATE = "a picture of a {x}"
PROMPT = "a photo of a red fox"
EXACT = ClosedForm(directions=None, ridge=1e-2)
QUICK = Finetune(
    steps=2,
    batch=2,
    rank=2,
    trajectories=2,
    retain_trajectories=3,
    sampler_steps=3,
    noise_level=0.6,
)


@dataclass(frozen=True)
class Case:
    """A family: its tiny pipeline, the width that an exact edit needs, and how to call it."""

    build: Callable[..., Any]
    width: int = 256
    call: dict[str, Any] = field(default_factory=dict)
    unguided: float = 1.0

    def pipe(self, **changes: Any) -> Any:
        return self.build(**{"positions": POSITIONS, **changes})


LENGTH = {"max_sequence_length": POSITIONS}


def tiny_sd3_without_t5(**options: Any) -> Any:
    pipe = tiny_sd3(**options)
    pipe.register_modules(text_encoder_3=None, tokenizer_3=None)
    return pipe


CASES = {
    "sdxl": Case(tiny_sdxl),
    "sd3": Case(tiny_sd3, width=384, call=LENGTH),
    "flux dev": Case(tiny_flux, call=LENGTH, unguided=3.5),
    "flux schnell": Case(partial(tiny_flux, False), call=LENGTH),
}
every_family = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def rollout(denoiser: Denoiser, prompt: str, steps: int = 5, seed: int = 3) -> list[torch.Tensor]:
    """Every state of a rollout at guidance 4, and the last."""
    seen: list[torch.Tensor] = []
    last = denoiser.rollout(
        denoiser.encode([prompt]), denoiser.unconditional(), [seed], steps=steps, guidance=4.0,
        visit=lambda states, *_: seen.append(states.clone()),
    )  # fmt: skip
    return [*seen, last]


# The theorem ------------------------------------------------------------------------------


@pytest.mark.parametrize("surrogate", ["cat", "big red boat"])
@pytest.mark.parametrize(
    "case",
    [*CASES.values(), Case(tiny_sd3_without_t5)],
    ids=[*CASES, "sd3 without T5"],
)
def test_exact_redirect_theorem(case, surrogate):
    """Edited model on the concept prompt = base model on the surrogate prompt, at every step."""
    pipe = case.pipe(width=case.width).to(torch.float64)
    denoiser = Denoiser(pipe)
    concept = Concept("small fox", surrogate=surrogate, templates=(TEMPLATE,))
    goal = fill(TEMPLATE, surrogate)
    result = redirect(denoiser, [concept], [goal], EXACT, CAPTIONS)
    wanted, before = rollout(denoiser, goal), rollout(denoiser, fill(TEMPLATE, "small fox"))
    adapt.attach(pipe, result.delta, "edit")
    redirected, kept = rollout(denoiser, fill(TEMPLATE, "small fox")), rollout(denoiser, goal)
    for got, same, goal_state in zip(redirected, kept, wanted, strict=True):
        torch.testing.assert_close(got, goal_state, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(same, goal_state, atol=1e-6, rtol=1e-6)
    assert (before[-1] - wanted[-1]).abs().max() > 1e-3  # there was something to redirect
    certificate = result.certificate
    assert certificate.pooled_path == "edited"
    assert set(result.edits) == set(certificate.streams) == {"tokens", "pooled"}
    assert certificate.residual_listed < 1e-6 and certificate.empty_prompt < 1e-6
    each = certificate.streams.values()
    assert certificate.residual_listed == max(x.residual_listed for x in each)
    assert certificate.recovery_margin == min(x.recovery_margin for x in each)


@every_family
def test_an_open_pooled_path_lets_the_concept_in(case):
    pipe = case.pipe(width=case.width).to(torch.float64)
    denoiser = Denoiser(pipe)
    concept = Concept("small fox", surrogate="cat", templates=(TEMPLATE,))
    result = redirect(denoiser, [concept], [], replace(EXACT, pooled=False), CAPTIONS)
    assert result.certificate.pooled_path == "open"
    assert set(result.edits) == {"tokens"} and result.certificate.residual_listed < 1e-6
    wanted = rollout(denoiser, fill(TEMPLATE, "cat"))
    adapt.attach(pipe, result.delta, "edit")
    redirected = rollout(denoiser, fill(TEMPLATE, "small fox"))
    assert (redirected[-1] - wanted[-1]).abs().max() > 1e-3


def test_a_family_without_a_pooled_path_says_so():
    denoiser = Denoiser(tiny_stable_diffusion())
    result = redirect(denoiser, [Concept("fox", surrogate="dog")], [], ClosedForm(), CAPTIONS)
    assert result.certificate.pooled_path == "none" and set(result.edits) == {"tokens"}


def test_the_pooled_columns_of_sdxl_leave_the_image_sizes_alone():
    denoiser = Denoiser(tiny_sdxl(positions=POSITIONS))
    result = redirect(denoiser, [Concept("fox", surrogate="dog")], [], ClosedForm(), CAPTIONS)
    change = result.delta["add_embedding.linear_1"].dense()
    pooled = denoiser.encode(["a fox"]).pooled
    assert pooled is not None and 0 < pooled.shape[1] < change.shape[1]
    assert change[:, : pooled.shape[1]].abs().max() > 0
    assert not change[:, pooled.shape[1] :].any()


def test_each_population_of_sd3_has_its_share_of_the_directions():
    denoiser = Denoiser(tiny_sd3(positions=POSITIONS, width=384))
    settings = ClosedForm(directions=1)
    result = redirect(denoiser, [Concept("fox", surrogate="dog")], [], settings, CAPTIONS)
    assert result.edits["tokens"].rank == 2 and result.edits["pooled"].rank == 1
    clip, t5 = denoiser.embeddings(["a fox"])
    for part in (clip[0], t5[0]):
        change = (part @ result.edits["tokens"].read.mT).norm() / part.norm()
        assert change > 1e-4


@every_family
def test_the_forecast_is_the_change_of_what_the_maps_give(case):
    denoiser = Denoiser(case.pipe())
    settings = ClosedForm(directions=4)  # what the tiny embeddings have room for
    result = redirect(denoiser, [Concept("fox", surrogate="dog")], [], settings, CAPTIONS)
    changes = forecast(denoiser, result.edits, ["a fox", "a horse"])
    found = []
    for stream in ("tokens", "pooled"):
        embeddings = torch.cat(denoiser.embeddings(["a fox"], stream), dim=1)[0]
        moved = {path: result.delta[path].dense() for path in denoiser.maps(stream)}
        weights = denoiser.weights(stream, embeddings.shape[1])
        change = torch.cat([moved[p][:, : embeddings.shape[1]] for p in weights]).double()
        base = torch.cat(list(weights.values())).double()
        found.append(float((embeddings @ change.mT).norm() / (embeddings @ base.mT).norm()))
    assert changes["a fox"] == pytest.approx(max(found), rel=1e-4)


@pytest.mark.parametrize(("p", "s"), [([2], [2, 3]), ([2, 3, 4], [2]), ([1], [3])])
def test_alignments_are_one_to_one_even_where_words_are_lost(p, s):
    pairs = align(Span(p, 6, 10), Span(s, 5, 10))
    assert sorted(i for i, _, _ in pairs) == sorted(j for _, j, _ in pairs) == list(range(10))
    assert (6, 5, "eos") in pairs


# The pipelines' own sampling --------------------------------------------------------------


def pipeline_states(pipe: Any, case: Case, guidance: float) -> list[torch.Tensor]:
    """What ``pipe`` itself has after each of its steps, unpacked."""
    states: list[torch.Tensor] = []

    def record(pipe: Any, step: int, timestep: Any, kwargs: dict) -> dict:
        latents = kwargs["latents"]
        states.append(flux.unpack(latents, 8, 8) if latents.ndim == 3 else latents.clone())
        return kwargs

    pipe(
        PROMPT, num_inference_steps=5, guidance_scale=guidance, output_type="latent",
        height=16, width=16, generator=torch.Generator().manual_seed(3),
        callback_on_step_end=record, **case.call,
    )  # fmt: skip
    return states


def assert_same(got: torch.Tensor, expected: torch.Tensor) -> None:
    assert (got - expected).norm() < 1e-6 * expected.norm()


@every_family
def test_the_algebra_replays_the_pipeline_s_own_sampling(case):
    pipe = case.pipe()
    expected = pipeline_states(pipe, case, case.unguided)
    denoiser = Denoiser(pipe)
    conditioning = denoiser.encode([PROMPT])
    times = pipe.scheduler.timesteps
    clean = Path.of(denoiser.prediction, torch.tensor(1.0), torch.tensor(0.0))
    paths = [*(denoiser.path(t) for t in times), clean]
    assert len(times) == len(expected) == 5
    # An Euler scheduler of a UNet moves x/α = x₀ + (σ/α) ε.
    frames = [1.0 if denoiser.family.flow else path.alpha for path in paths]
    state = expected[0] * frames[1]
    for k in range(1, 5):
        with torch.no_grad():
            output = denoiser.predict(state, times[k], conditioning, case.unguided)
        state, _ = paths[k + 1].join(*paths[k].split(state, output))
        assert_same(state / frames[k + 1], expected[k])


def plain(pipe: Any) -> None:
    pass


def with_ddim(pipe: Any) -> None:
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)


def with_dynamic_shift(pipe: Any) -> None:
    pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(
        pipe.scheduler.config, use_dynamic_shifting=True, base_shift=0.7, max_shift=2.0
    )


@pytest.mark.parametrize(
    ("name", "prepare"),
    [
        ("sdxl", with_ddim),
        ("sd3", plain),
        ("sd3", with_dynamic_shift),
        ("flux dev", plain),
        ("flux schnell", plain),
    ],
)
def test_a_rollout_is_the_pipeline_s_own_guided_sampling(name, prepare):
    case = CASES[name]
    pipe = case.pipe()
    prepare(pipe)
    expected = pipeline_states(pipe, case, 4.0)
    states = rollout(Denoiser(pipe), PROMPT)
    for got, goal in zip(states[1:], expected, strict=True):
        assert_same(got, goal)


def test_guidance_is_an_input_of_flux_dev_alone():
    for pipe, reads in ((tiny_flux(), True), (tiny_flux(False), False)):
        denoiser = Denoiser(pipe)
        inputs = denoiser.initial_states([0]), torch.tensor(500.0), denoiser.encode(["a fox"])
        with torch.no_grad():
            outputs = [denoiser.predict(*inputs, guidance) for guidance in (1.0, 3.5)]
            assert torch.equal(denoiser.predict(*inputs), outputs[0])  # directions: guidance 1
        assert torch.equal(*outputs) is not reads


def test_what_guidance_subtracts_is_the_pipeline_s_own_choice():
    pipe = tiny_sdxl()
    assert not Denoiser(pipe).unconditional().tokens.any()
    pipe.register_to_config(force_zeros_for_empty_prompt=False)
    found, empty = Denoiser(pipe).unconditional(), Denoiser(pipe).encode([""])
    assert torch.equal(found.tokens, empty.tokens) and torch.equal(found.pooled, empty.pooled)


@every_family
def test_states_depend_on_their_seed_alone(case):
    denoiser = Denoiser(case.pipe())
    both, one = denoiser.initial_states([4, 5]), denoiser.initial_states([5])
    assert torch.equal(both[1:], one)
    assert denoiser.initial_states([4], 16, 24).shape[-2:] == (8, 12)


def test_a_flow_without_its_schedule_is_refused():
    pipe = tiny_sd3()
    pipe.scheduler = DDIMScheduler()
    with pytest.raises(InputError, match=r"DDIMScheduler.*FlowMatchEulerDiscreteScheduler"):
        Denoiser(pipe)


# Training ---------------------------------------------------------------------------------


@every_family
def test_two_steps_of_training_leave_the_teacher_the_base(case):
    denoiser = Denoiser(case.pipe())
    lesson = stage2.prepare(
        denoiser, ["a fox", "a photo of a fox"], ["a dog", "a photo of a dog"], CAPTIONS, QUICK, 0
    )
    assert len(lesson.late) and len(lesson.early)
    inputs = lesson.bank.states[:1], lesson.bank.timesteps[:1], lesson.concept[[0]]
    with torch.no_grad():
        base = denoiser.predict(*inputs)
    records = list(stage2.steer(denoiser, lesson, QUICK, seed=0))
    with torch.no_grad():
        student = denoiser.predict(*inputs)
        with denoiser.without_adapters():
            teacher = denoiser.predict(*inputs)
    assert [record.step for record in records] == [0, 1]
    assert set(records[0].terms) == {"late", "early", "empty", "retain"}
    assert torch.equal(teacher, base) and not torch.equal(student, base)


# Files ------------------------------------------------------------------------------------

ATTENTIONS = (
    "down_blocks_0_attentions_0",
    "mid_block_attentions_0",
    "up_blocks_1_attentions_0",
    "up_blocks_1_attentions_1",
)
TRANSFORMER = ("context_embedder", "time_text_embed.text_embedder.linear_1")
KEYS = {
    "sdxl": {
        f"lora_unet_{stem}.{tensor}"
        for stem in (
            *(f"{a}_transformer_blocks_0_attn2_to_{x}" for a in ATTENTIONS for x in "kv"),
            "label_emb_0_0",
        )
        for tensor in ("lora_down.weight", "lora_up.weight", "alpha")
    },
    "sd3": {
        f"transformer.{path}.lora_{x}.weight"
        for path in (
            *TRANSFORMER,
            *(f"transformer_blocks.{i}.attn.add_{x}_proj" for i in range(2) for x in "kv"),
        )
        for x in "AB"
    },
    "flux dev": {
        f"transformer.{path}.lora_{x}.weight"
        for path in (*TRANSFORMER, *(f"transformer_blocks.0.attn.add_{x}_proj" for x in "kv"))
        for x in "AB"
    },
}
KEYS["flux schnell"] = KEYS["flux dev"]
LABELS = {
    "sdxl": ("stable-diffusion-xl-v1-base/lora", "sdxl_base_v1-0"),
    "sd3": ("stable-diffusion-3/lora", "sd3"),
    "flux dev": ("flux-1/lora", "flux1"),
    "flux schnell": ("flux-1/lora", "flux1"),
}


def images(pipe: Any, case: Case) -> torch.Tensor:
    return pipe(
        ["a photo of a fox", "a red horse"], num_inference_steps=2, guidance_scale=3.0,
        generator=[torch.Generator().manual_seed(seed) for seed in (0, 1)],
        output_type="pt", height=16, width=16, **case.call,
    ).images  # fmt: skip


def make_erasure(pipe: Any) -> Erasure:
    fox = Concept("fox", surrogate="dog", templates=("a {x}", "a photo of a {x}"))
    return erase(pipe, fox, finetune=QUICK, captions=CAPTIONS)


@pytest.mark.parametrize("name", CASES)
def test_a_saved_file_gives_the_same_images_in_plain_diffusers(tmp_path, name):
    case = CASES[name]
    ours = case.pipe()
    keys = set(ours.components["unet" if name == "sdxl" else "transformer"].state_dict())
    base, erasure = images(ours, case), make_erasure(ours)
    assert torch.equal(images(ours, case), base)
    path = erasure.save(tmp_path / "fox")
    tensors, metadata = export.read(path)
    assert set(tensors) == KEYS[name]
    found = metadata["modelspec.architecture"], metadata["ss_base_model_version"]
    assert found == LABELS[name] and "ss_v2" not in metadata

    with Erasure.load(path).attach(ours):
        expected = images(ours, case)
    assert (expected - base).abs().max() > 1e-3
    assert set(Denoiser(ours).network.state_dict()) == keys
    other = case.pipe()
    other.load_lora_weights(tmp_path, weight_name=path.name)
    torch.testing.assert_close(images(other, case), expected, atol=1e-4, rtol=0)


def test_a_file_of_another_family_names_both(tmp_path):
    pipes = {
        "stable-diffusion": tiny_stable_diffusion(positions=POSITIONS),
        "stable-diffusion-xl": tiny_sdxl(positions=POSITIONS),
        "stable-diffusion-3": tiny_sd3(positions=POSITIONS),
        "flux": tiny_flux(positions=POSITIONS),
    }
    fox = Concept("fox", surrogate="dog", templates=("a {x}",))
    for family, pipe in pipes.items():
        path = erase(pipe, fox, finetune=None, captions=CAPTIONS).save(tmp_path / family)
        for other in pipes.keys() - {family}:
            with pytest.raises(InputError, match=rf"made for {family}, .* is {other}\."):
                Erasure.load(path).attach(pipes[other])


@pytest.mark.parametrize(
    ("prediction", "architecture", "version"),
    [
        ("epsilon", "stable-diffusion-v2-512/lora", "sd_v2"),
        ("v_prediction", "stable-diffusion-v2-768-v/lora", "sd_v2_v"),
    ],
)
def test_the_text_width_tells_sd_2_from_1(tmp_path, prediction, architecture, version):
    fox = Concept("fox", surrogate="dog", templates=("a {x}",))
    found = []
    for width in (768, 1024):
        pipe = tiny_stable_diffusion(prediction, width=width, positions=POSITIONS)
        one = ClosedForm(directions=1, keep=1)
        erasure = erase(pipe, fox, finetune=None, closed_form=one, captions=CAPTIONS)
        _, metadata = export.read(erasure.save(tmp_path / "fox"))
        names = ("modelspec.architecture", "ss_base_model_version", "ss_v2")
        found.append(tuple(metadata.get(name) for name in names))
    assert found == [("stable-diffusion-v1/lora", "sd_v1", None), (architecture, version, "True")]


def test_a_fingerprint_covers_the_pooled_path():
    pipe = tiny_sdxl()
    before = fingerprint(pipe)
    with torch.no_grad():
        pipe.unet.add_embedding.linear_1.weight[0, 0] += 0.1
    assert fingerprint(pipe)["sha256"] != before["sha256"]


def test_the_pooled_path_is_a_setting_of_spec_files():
    text = "model: emoji-sd\nconcepts: [fox]\nclosed_form: {{pooled: {}}}\n"
    assert parse_spec(text.format("false")).erase.closed_form == ClosedForm(pooled=False)
    with pytest.raises(InputError, match=r"closed_form\.pooled is 1; allowed: true or false"):
        parse_spec(text.format("1"))
