"""Every family by the same code: exact redirects, the pipelines' own sampling, training, files.

Tiny random pipelines throughout: what is asserted holds for any weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

from trace_erasure.artifact import lora_file
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.alignment import Span, align, align_in_place, concept_columns, locate
from trace_erasure.concepts.concept import Concept, ResolvedConcept, fill_template
from trace_erasure.concepts.steered_prompts import SteeredPrompts
from trace_erasure.config import ClosedFormConfig, FinetuneConfig
from trace_erasure.config_file import parse_config
from trace_erasure.errors import InputError
from trace_erasure.guarantees.forecast import text_change
from trace_erasure.math.parameterization import NoisePoint
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families import flux
from trace_erasure.pipeline.families.reading import Reader
from trace_erasure.pipeline.families.reading import chat as chat_template
from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.pipeline.fingerprint import fingerprint
from trace_erasure.pipeline.sampler import to_pictures, to_states
from trace_erasure.testing import (
    tiny_flux,
    tiny_flux2_klein,
    tiny_sd3,
    tiny_sdxl,
    tiny_stable_diffusion,
)
from trace_erasure.trace import finetune as stage2
from trace_erasure.trace.closed_form import closed_form_edit
from trace_erasure.trace.erase import erase
from trace_erasure.trace.finetune_data import prepare_finetune_data

POSITIONS = 48
CAPTIONS = [f"a picture of a {word}" for word in ("dog", "tree", "house", "red car", "boat")]
TEMPLATE = "a picture of a {x}"
PROMPT = "a photo of a red fox"
EXACT = ClosedFormConfig(directions=None, ridge=1e-2)
QUICK = FinetuneConfig(
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
    """A family: its tiny pipeline, the width that an exact edit needs, and how to call it.

    ``unpack`` takes the rows that a pipeline moves to states; ``patch`` is a state's pixel in
    latents; ``late`` a noise level that three steps cross.
    """

    build: Callable[..., Any]
    width: int = 256
    call: dict[str, Any] = field(default_factory=dict)
    unguided: float = 1.0
    unpack: Callable[[torch.Tensor], torch.Tensor] = torch.clone
    patch: int = 1
    late: float = 0.6
    streams: frozenset[str] = frozenset({"tokens", "pooled"})

    def pipe(self, **changes: Any) -> Any:
        positions = self.call.get("max_sequence_length", POSITIONS)
        return self.build(**{"positions": positions, **changes})


LENGTH = {"max_sequence_length": POSITIONS}


def tiny_sd3_without_t5(**options: Any) -> Any:
    pipe = tiny_sd3(**options)
    pipe.register_modules(text_encoder_3=None, tokenizer_3=None)
    return pipe


def unpack_flux(rows: torch.Tensor) -> torch.Tensor:
    return flux.unpack(rows, 8, 8)


def unpack_flux2(rows: torch.Tensor) -> torch.Tensor:
    return rows.mT.unflatten(2, (4, 4)).clone()


FLUX2: dict[str, Any] = {
    "width": 384,
    "call": {"max_sequence_length": 52},  # the chat template has some of its own
    "unpack": unpack_flux2,
    "patch": 2,
    "late": 0.8,  # its schedule is shifted further the fewer the steps
    "streams": frozenset({"tokens"}),
}
CASES = {
    "sdxl": Case(tiny_sdxl),
    "sd3": Case(tiny_sd3, width=384, call=LENGTH),
    "flux dev": Case(tiny_flux, call=LENGTH, unguided=3.5, unpack=unpack_flux),
    "flux schnell": Case(partial(tiny_flux, False), call=LENGTH, unpack=unpack_flux),
    "flux 2 base": Case(tiny_flux2_klein, **FLUX2),
    "flux 2 distilled": Case(partial(tiny_flux2_klein, True), **FLUX2),
}
POOLED = {name: case for name, case in CASES.items() if "pooled" in case.streams}
every_family = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def rollout(denoiser: Denoiser, prompt: str, steps: int = 5, seed: int = 3) -> list[torch.Tensor]:
    """Every state of a rollout at guidance 4, and the last."""
    seen: list[torch.Tensor] = []
    last = denoiser.rollout(
        denoiser.encode([prompt]), denoiser.unconditional(), [seed], steps=steps, guidance=4.0,
        on_state=lambda states, *_: seen.append(states.clone()),
    )  # fmt: skip
    return [*seen, last]


# The theorem ------------------------------------------------------------------------------


@pytest.mark.slow
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
    concept = ResolvedConcept("small fox", surrogate=surrogate, templates=(TEMPLATE,))
    goal = fill_template(TEMPLATE, surrogate)
    result = closed_form_edit(denoiser, [concept], [goal], EXACT, CAPTIONS)
    wanted, before = (
        rollout(denoiser, goal),
        rollout(denoiser, fill_template(TEMPLATE, "small fox")),
    )
    adapters.attach(pipe, result.delta, "edit")
    redirected, kept = (
        rollout(denoiser, fill_template(TEMPLATE, "small fox")),
        rollout(denoiser, goal),
    )
    for got, same, goal_state in zip(redirected, kept, wanted, strict=True):
        torch.testing.assert_close(got, goal_state, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(same, goal_state, atol=1e-6, rtol=1e-6)
    assert (before[-1] - wanted[-1]).abs().max() > 1e-3  # there was something to redirect
    certificate = result.certificate
    assert certificate.pooled_path == ("edited" if "pooled" in case.streams else "none")
    assert set(result.edits) == set(certificate.streams) == case.streams
    assert certificate.residual_listed < 1e-6 and certificate.empty_prompt < 1e-6
    each = certificate.streams.values()
    assert certificate.residual_listed == max(x.residual_listed for x in each)
    assert certificate.recovery_margin == min(x.recovery_margin for x in each)


@pytest.mark.parametrize("case", POOLED.values(), ids=POOLED)
def test_an_open_pooled_path_lets_the_concept_in(case):
    pipe = case.pipe(width=case.width).to(torch.float64)
    denoiser = Denoiser(pipe)
    concept = ResolvedConcept("small fox", surrogate="cat", templates=(TEMPLATE,))
    result = closed_form_edit(denoiser, [concept], [], replace(EXACT, pooled=False), CAPTIONS)
    assert result.certificate.pooled_path == "open"
    assert set(result.edits) == {"tokens"} and result.certificate.residual_listed < 1e-6
    wanted = rollout(denoiser, fill_template(TEMPLATE, "cat"))
    adapters.attach(pipe, result.delta, "edit")
    redirected = rollout(denoiser, fill_template(TEMPLATE, "small fox"))
    assert (redirected[-1] - wanted[-1]).abs().max() > 1e-3


def test_a_family_without_a_pooled_path_says_so():
    denoiser = Denoiser(tiny_stable_diffusion())
    result = closed_form_edit(
        denoiser, [ResolvedConcept("fox", surrogate="dog")], [], ClosedFormConfig(), CAPTIONS
    )
    assert result.certificate.pooled_path == "none" and set(result.edits) == {"tokens"}


def test_the_pooled_columns_of_sdxl_leave_the_image_sizes_alone():
    denoiser = Denoiser(tiny_sdxl(positions=POSITIONS))
    result = closed_form_edit(
        denoiser, [ResolvedConcept("fox", surrogate="dog")], [], ClosedFormConfig(), CAPTIONS
    )
    change = result.delta["add_embedding.linear_1"].dense()
    pooled = denoiser.encode(["a fox"]).pooled
    assert pooled is not None and 0 < pooled.shape[1] < change.shape[1]
    assert change[:, : pooled.shape[1]].abs().max() > 0
    assert not change[:, pooled.shape[1] :].any()


def test_each_population_of_sd3_has_its_share_of_the_directions():
    denoiser = Denoiser(tiny_sd3(positions=POSITIONS, width=384))
    settings = ClosedFormConfig(directions=1)
    result = closed_form_edit(
        denoiser, [ResolvedConcept("fox", surrogate="dog")], [], settings, CAPTIONS
    )
    # One direction of its sentences for each population, and one of its name spelled out.
    assert result.edits["tokens"].rank == 4 and result.edits["pooled"].rank == 2
    clip, t5 = denoiser.embeddings(["a fox"])
    for part in (clip[0], t5[0]):
        change = (part @ result.edits["tokens"].read.mT).norm() / part.norm()
        assert change > 1e-4


@every_family
def test_the_text_change_is_that_of_the_maps_outputs(case):
    denoiser = Denoiser(case.pipe())
    settings = ClosedFormConfig(directions=4)  # what the tiny embeddings have room for
    result = closed_form_edit(
        denoiser, [ResolvedConcept("fox", surrogate="dog")], [], settings, CAPTIONS
    )
    changes = text_change(denoiser, result.delta, ["a fox", "a horse"])
    found = []
    for stream in case.streams:
        embeddings = torch.cat(denoiser.embeddings(["a fox"], stream), dim=1)[0]
        moved = {path: result.delta[path].dense() for path in denoiser.maps(stream)}
        weights = denoiser.weights(stream, embeddings.shape[1])
        change = torch.cat([moved[p][:, : embeddings.shape[1]] for p in weights]).double()
        base = torch.cat(list(weights.values())).double()
        found.append(float((embeddings @ change.mT).norm() / (embeddings @ base.mT).norm()))
    assert float(changes[0]) == pytest.approx(max(found), rel=1e-4)


@pytest.mark.parametrize(("p", "s"), [([2], [2, 3]), ([2, 3, 4], [2]), ([1], [3])])
def test_alignments_are_one_to_one_even_where_words_are_lost(p, s):
    pairs = align(Span(p, 6, 10), Span(s, 5, 10))
    assert sorted(i for i, _, _ in pairs) == sorted(j for _, j, _ in pairs) == list(range(10))
    assert (6, 5, "eos") in pairs


def test_an_alignment_in_place_names_what_stands_in_either_prompt():
    pairs = align_in_place(Span([2, 3], 6, 9), Span([2], 5, 9))
    assert [(i, j) for i, j, _ in pairs] == [(i, i) for i in range(9)]
    roles = [role for _, _, role in pairs]
    assert roles == ["before"] * 2 + ["concept"] * 2 + ["after"] * 3 + ["padding"] * 2
    assert align_in_place(Span([2], 5, 7), Span([2], 5, 7))[5] == (5, 5, "eos")


def permuted(tokens: torch.Tensor) -> torch.Tensor:
    order = torch.randperm(tokens.shape[1], generator=torch.Generator().manual_seed(0))
    return tokens[:, order]


@every_family
def test_a_network_is_ordered_where_it_hears_the_order_of_positions(case):
    denoiser = Denoiser(case.pipe().to(torch.float64))
    inputs = denoiser.initial_states([0]), torch.tensor(500.0)
    found = denoiser.encode([PROMPT])
    with torch.no_grad():
        output = denoiser.predict(*inputs, found)
        change = denoiser.predict(*inputs, replace(found, tokens=permuted(found.tokens))) - output
    size = float(change.norm() / output.norm())
    assert size > 1e-4 if denoiser.family.ordered else size < 1e-6


def test_words_paired_with_words_are_not_exact_where_positions_are_told_apart():
    """The same solve and the same zero residual, but the surrogate's words in other places."""
    pipe = CASES["flux 2 base"].pipe(width=384).to(torch.float64)
    denoiser = Denoiser(pipe)
    denoiser.family = replace(denoiser.family, ordered=False)
    concept = ResolvedConcept("small fox", surrogate="big red boat", templates=(TEMPLATE,))
    result = closed_form_edit(denoiser, [concept], [], EXACT, CAPTIONS)
    assert result.certificate.residual_listed < 1e-6
    texts = [fill_template(TEMPLATE, phrase) for phrase in ("big red boat", "small fox")]
    wanted, before = (rollout(denoiser, text)[-1] for text in texts)
    adapters.attach(pipe, result.delta, "edit")
    redirected = rollout(denoiser, texts[1])[-1]
    assert (redirected - wanted).norm() > 0.05 * (before - wanted).norm()


# Prompts in a chat template ----------------------------------------------------------------


def chat() -> Reader:
    tokenizer = tiny_flux2_klein().tokenizer
    return Reader(tokenizer, chat_template(tokenizer, thinking=False))


@pytest.mark.parametrize("prompt", ["a photo of a user", "user", "assistant fox", "a fox\n", ""])
def test_offsets_count_the_prompt_s_own_characters(prompt):
    tokenizer = chat()
    encoded = tokenizer(prompt, return_offsets_mapping=True)
    said = [prompt[a:b] for a, b in encoded["offset_mapping"] if b > a]
    assert "".join(said) == prompt
    whole = tokenizer.tokenizer(tokenizer.wrap(prompt))
    assert encoded.input_ids == whole.input_ids
    assert tokenizer([prompt, "a dog"]).input_ids[0] == whole.input_ids
    bare = tokenizer(prompt, add_special_tokens=False).input_ids
    assert tokenizer.decode(bare) == f" {prompt}"


def test_a_phrase_of_the_template_is_found_in_the_prompt_alone():
    tokenizer = chat()
    span = locate(tokenizer, "a red user", "user", 40)
    ids = tokenizer("a red user").input_ids
    assert tokenizer.decode([ids[i] for i in span.concept]).strip() == "user"
    before = tokenizer.decode(ids[: span.concept[0]])
    assert before.endswith("a red ") and span.eos == len(ids) - 1
    with pytest.raises(InputError, match="'assistant' does not occur"):
        locate(tokenizer, "a red fox", "assistant", 40)


def test_prompts_whose_tokens_move_with_their_padding_are_refused():
    pipe = tiny_flux2_klein()
    pipe.tokenizer.padding_side = "left"
    with pytest.raises(InputError, match="pads on the left"):
        Denoiser(pipe).segments()


def test_padding_of_flux_2_says_what_the_prompt_says_and_is_heard():
    denoiser = Denoiser(tiny_flux2_klein(positions=POSITIONS).to(torch.float64))
    found = denoiser.encode(["a red fox", "a red dog"])
    ((tokenizer, _),) = denoiser.segments()
    end = len(tokenizer("a red fox").input_ids)
    padding = found.tokens[:, end:]
    assert padding.shape[1] > 10
    assert ((padding[0] - padding[1]).norm(dim=-1) > 1e-2 * padding[0].norm(dim=-1)).all()
    silent = found.tokens.clone()
    silent[:, end:] = 0
    inputs = denoiser.initial_states([0, 0]), torch.tensor(500.0)
    with torch.no_grad():
        outputs = [denoiser.predict(*inputs, x) for x in (found, replace(found, tokens=silent))]
    assert (outputs[0] - outputs[1]).norm() > 1e-2 * outputs[0].norm()
    columns = concept_columns(denoiser, [("a red {x}", "fox")], "dog")
    padded = columns.select(torch.tensor([role == "padding" for role in columns.roles]))
    assert len(padded.roles) == POSITIONS - end and padded.moved.all()


# The pipelines' own sampling --------------------------------------------------------------


def pipeline_states(pipe: Any, case: Case, guidance: float) -> list[torch.Tensor]:
    """What ``pipe`` itself has after each of its steps, unpacked."""
    states: list[torch.Tensor] = []

    def record(pipe: Any, step: int, timestep: Any, kwargs: dict) -> dict:
        states.append(case.unpack(kwargs["latents"]))
        return kwargs

    pipe(
        prompt=PROMPT, num_inference_steps=5, guidance_scale=guidance, output_type="latent",
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
    clean = NoisePoint.of(denoiser.prediction, torch.tensor(1.0), torch.tensor(0.0))
    paths = [*(denoiser.noise_point(t) for t in times), clean]
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
        ("flux 2 base", plain),
        ("flux 2 distilled", plain),
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
    for pipe, reads in (
        (tiny_flux(), True),
        (tiny_flux(False), False),
        (tiny_flux2_klein(), False),
    ):
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
    assert found.pooled is not None and empty.pooled is not None
    assert torch.equal(found.tokens, empty.tokens) and torch.equal(found.pooled, empty.pooled)


def test_distilled_is_what_the_pipeline_says():
    found = [Denoiser(tiny_flux2_klein(distilled)).distilled for distilled in (False, True)]
    assert found == [False, True] and Denoiser(tiny_flux()).distilled


@every_family
def test_states_become_the_pipeline_s_own_pictures(case):
    pipe = case.pipe()
    last = {}

    def record(pipe: Any, step: int, timestep: Any, kwargs: dict) -> dict:
        last["states"] = case.unpack(kwargs["latents"])
        return kwargs

    drawn = pipe(
        prompt=PROMPT, num_inference_steps=2, generator=torch.Generator().manual_seed(3),
        guidance_scale=case.unguided, height=16, width=16, callback_on_step_end=record, **case.call,
    ).images[0]  # fmt: skip
    denoiser = Denoiser(pipe)
    (picture,) = to_pictures(denoiser, last["states"])
    assert np.abs(np.asarray(picture, int) - np.asarray(drawn, int)).max() <= 1
    latents = denoiser.family.to_latents(pipe, last["states"])
    assert_same(denoiser.family.to_states(pipe, latents), last["states"])
    assert to_states(denoiser, [picture]).shape == last["states"].shape


@pytest.mark.parametrize("name", ["Flux2KleinKVPipeline", "Flux2KleinInpaintPipeline"])
def test_other_pipelines_of_flux_2_are_refused(name):
    with pytest.raises(InputError, match=rf"{name} is not a supported .*Flux2KleinPipeline"):
        family_of(type(name, (), {})())


@every_family
def test_states_depend_on_their_seed_alone(case):
    denoiser = Denoiser(case.pipe())
    both, one = denoiser.initial_states([4, 5]), denoiser.initial_states([5])
    assert torch.equal(both[1:], one)
    shape = denoiser.initial_states([4], 16, 24).shape[-2:]
    assert shape == (8 // case.patch, 12 // case.patch)


def test_a_flow_without_its_schedule_is_refused():
    pipe = tiny_sd3()
    pipe.scheduler = DDIMScheduler()
    with pytest.raises(InputError, match=r"DDIMScheduler.*FlowMatchEulerDiscreteScheduler"):
        Denoiser(pipe)


# Training ---------------------------------------------------------------------------------


@every_family
def test_two_steps_of_training_leave_the_teacher_the_base(case):
    denoiser = Denoiser(case.pipe())
    settings = replace(QUICK, noise_level=case.late)
    data = prepare_finetune_data(
        denoiser,
        SteeredPrompts.own(["a fox", "a photo of a fox"], ["a dog", "a photo of a dog"]),
        CAPTIONS,
        settings,
        0,
    )
    assert len(data.late) and len(data.early)
    rollouts = data.concept_rollouts
    inputs = rollouts.states[:1], rollouts.timesteps[:1], data.concept[[0]]
    with torch.no_grad():
        base = denoiser.predict(*inputs)
    records = []
    trained, frozen = [], []

    def keep(record):
        records.append(record)
        with torch.no_grad():
            trained.append(denoiser.predict(*inputs))
            with denoiser.without_adapters():
                frozen.append(denoiser.predict(*inputs))

    stage2.finetune_adapter(denoiser, data, settings, seed=0, on_step=keep)
    assert [record.step for record in records] == [0, 1]
    assert set(records[0].terms) == {"late", "early", "empty", "retain"}
    assert torch.equal(frozen[-1], base) and not torch.equal(trained[-1], base)


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
KEYS["flux 2 base"] = {key for key in KEYS["flux dev"] if "time_text_embed" not in key}
KEYS["flux 2 distilled"] = KEYS["flux 2 base"]
LABELS = {
    "sdxl": ("stable-diffusion-xl-v1-base/lora", "sdxl_base_v1-0"),
    "sd3": ("stable-diffusion-3/lora", "sd3"),
    "flux dev": ("flux-1/lora", "flux1"),
    "flux schnell": ("flux-1/lora", "flux1"),
    "flux 2 base": ("flux-2-klein/lora", "flux2"),
    "flux 2 distilled": ("flux-2-klein/lora", "flux2"),
}


def images(pipe: Any, case: Case) -> torch.Tensor:
    return pipe(
        prompt=["a photo of a fox", "a red horse"], num_inference_steps=2, guidance_scale=3.0,
        generator=[torch.Generator().manual_seed(seed) for seed in (0, 1)],
        output_type="pt", height=16, width=16, **case.call,
    ).images  # fmt: skip


def make_erasure(pipe: Any) -> Erasure:
    fox = Concept("fox", surrogate="dog", templates=("a {x}", "a photo of a {x}"))
    return erase(pipe, fox, finetune=QUICK, captions=CAPTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_saved_file_gives_the_same_images_in_plain_diffusers(tmp_path, name):
    case = CASES[name]
    ours = case.pipe()
    keys = set(ours.components["unet" if name == "sdxl" else "transformer"].state_dict())
    base, erasure = images(ours, case), make_erasure(ours)
    assert torch.equal(images(ours, case), base)
    path = erasure.save(tmp_path / "fox")
    tensors, metadata = lora_file.read(path)
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


@pytest.mark.slow
def test_a_file_of_another_family_names_both(tmp_path):
    pipes = {
        "stable-diffusion": tiny_stable_diffusion(positions=POSITIONS),
        "stable-diffusion-xl": tiny_sdxl(positions=POSITIONS),
        "stable-diffusion-3": tiny_sd3(positions=POSITIONS),
        "flux": tiny_flux(positions=POSITIONS),
        "flux-2": tiny_flux2_klein(positions=POSITIONS),
    }
    fox = Concept("fox", surrogate="dog", templates=("a {x}",))
    for family, pipe in pipes.items():
        path = erase(pipe, fox, finetune=None, captions=CAPTIONS).save(tmp_path / family)
        for other in pipes.keys() - {family}:
            with pytest.raises(InputError, match=rf"made for {family}, .* is {other}\."):
                Erasure.load(path).attach(pipes[other])


@pytest.mark.slow
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
        one = ClosedFormConfig(directions=1, keep=1)
        erasure = erase(pipe, fox, finetune=None, closed_form=one, captions=CAPTIONS)
        _, metadata = lora_file.read(erasure.save(tmp_path / "fox"))
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
    assert parse_config(text.format("false")).erase.closed_form == ClosedFormConfig(pooled=False)
    with pytest.raises(InputError, match=r"closed_form\.pooled is 1; allowed: true or false"):
        parse_config(text.format("1"))
