"""The guarantees and the behaviour on the model that ships with the package."""

import sys

import pytest
import torch

from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.config import ClosedFormConfig, FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.evaluation import (
    Judge,
    blanked,
    collect_verdicts,
    load_task,
    shipped_classifiers,
    summarise,
)
from trace_erasure.pipeline import adapters, loading, shipped
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.pipeline.generate import generate
from trace_erasure.trace.closed_form import closed_form_edit
from trace_erasure.trace.erase import erase

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def pipe():
    pipe = loading.load_pipeline()
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def judges():
    return shipped_classifiers()


@pytest.fixture(scope="module")
def fox(pipe):
    """Default settings: what a user gets."""
    return erase(pipe, "fox", seed=0)


@pytest.fixture(scope="module")
def trained_fox(pipe):
    """Both stages."""
    return erase(pipe, "fox", finetune=FinetuneConfig(), seed=0)


def seen(judge: Judge, images: list) -> list[str]:
    """The judge's best subject for each image."""
    subjects = [i for i, label in enumerate(judge.labels) if label.startswith("subject/")]
    best = judge.classify(images)[:, subjects].argmax(1).tolist()
    return [judge.labels[subjects[i]].removeprefix("subject/") for i in best]


def share(judge, images, names) -> float:
    found = seen(judge, images)
    return sum(a == b for a, b in zip(found, names, strict=True)) / len(names)


def test_everything_shipped_stays_small():
    folder = shipped.models_folder()
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 90 * MEGABYTE
    assert not [f for f in folder.rglob("*") if f.suffix in (".bin", ".pt", ".ckpt", ".pkl")]


def test_without_the_weights_the_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "trace_erasure_world", None)
    with pytest.raises(InputError, match="pip install trace-erasure-world"):
        loading.load_pipeline("emoji-sd")


@pytest.mark.slow
def test_exact_redirect_theorem_in_float32(pipe):
    """Untruncated equality: the concept prompt gives the surrogate prompt's images, guided."""
    denoiser = Denoiser(pipe)
    templates = ("{x}", "a picture of a {x}")
    concept = ResolvedConcept("fox", surrogate="cloud", templates=templates)
    goals = [fill_template(t, "cloud") for t in templates]
    result = closed_form_edit(denoiser, [concept], goals, ClosedFormConfig(directions=None))

    def states(prompt: str) -> torch.Tensor:
        visited: list[torch.Tensor] = []
        denoiser.rollout(
            denoiser.encode([prompt]),
            denoiser.encode([EMPTY]),
            [0, 1],
            steps=20,
            guidance=3.5,
            on_state=lambda x, *_: visited.append(x.clone()),
        )
        return torch.stack(visited)

    wanted = [states(goal) for goal in goals]
    adapters.attach(pipe, result.delta, "exact")
    try:
        for template, goal in zip(templates, wanted, strict=True):
            got = states(fill_template(template, "fox"))
            relative = (got - goal).flatten(1).norm(dim=1) / goal.flatten(1).norm(dim=1)
            assert relative.max() < 1e-5
    finally:
        adapters.detach(pipe, "exact")
    assert result.certificate.residual_listed < 1e-6


def test_the_default_reports_a_residual_and_a_margin(fox):
    certificate = fox.record.certificate
    assert 0 < certificate.residual_listed < 1
    assert certificate.recovery_margin > 0
    assert 0 < certificate.capacity < 1


@pytest.mark.slow
def test_strength_zero_and_detach_give_the_base_bit_for_bit(pipe, fox):
    prompts, seeds = ["a fox", "a house"], [1, 2]
    before = [image.tobytes() for image in generate(pipe, prompts, seeds)]
    with fox.attach(pipe, strength=0.0):
        assert [image.tobytes() for image in generate(pipe, prompts, seeds)] == before
    assert [image.tobytes() for image in generate(pipe, prompts, seeds)] == before


@pytest.mark.slow
@pytest.mark.parametrize("made", ["fox", "trained_fox"])
def test_the_concept_goes_and_the_rest_stays_in_both_judges_eyes(pipe, judges, made, request):
    erasure = request.getfixturevalue(made)
    target = ["a fox", "a picture of a fox", "a fox on a blue background", "a fox, ink style"] * 6
    names = [
        "cat",
        "dog",
        "panda",
        "house",
        "car",
        "apple",
        "penguin",
        "rocket",
        "crown",
        "bus",
        "owl",
        "key",
    ] * 2
    others = [fill_template("a {x}", name) for name in names]
    seeds = list(range(24))
    base = generate(pipe, [*target, *others], [*seeds, *seeds])
    with erasure.attach(pipe):
        edited = generate(pipe, [*target, *others], [*seeds, *seeds])
    for judge in judges:
        assert share(judge, base[:24], ["fox"] * 24) >= 0.7
        assert share(judge, edited[:24], ["fox"] * 24) <= 0.05
        assert share(judge, edited[24:], names) >= 0.85 * share(judge, base[24:], names)


@pytest.mark.slow
def test_graded_strength_is_monotone_in_the_judges_eyes(pipe, judges, fox):
    prompts, seeds = ["a fox", "a picture of a fox"] * 12, list(range(24))
    for judge in judges:
        label = judge.labels.index("subject/fox")
        subjects = [i for i, name in enumerate(judge.labels) if name.startswith("subject/")]
        chances = []
        for strength in (0.0, 0.5, 1.0):
            with fox.attach(pipe, strength):
                logits = judge.classify(generate(pipe, prompts, seeds))
            chance = logits[:, subjects].softmax(1)[:, subjects.index(label)]
            chances.append(chance.mean().item())
        assert chances[0] >= chances[1] >= chances[2]
        assert chances[0] - chances[2] > 0.5


def test_a_model_that_draws_nothing_scores_badly_overall(pipe, judges):
    """It has "erased" the fox as well as anything can, and no judge may call that a success."""
    task = load_task("objects").subset(["fox"], per_group=30)
    with blanked(pipe):
        found = collect_verdicts(
            pipe, task, judges, model="emoji-sd", method="blank", autocast=True
        )
    of = {(r.judge, r.metric): r.value for r in summarise(found) if r.concept == "mean"}
    for judge in judges:
        assert of[judge.id, "acc_e"] == 0
        assert of[judge.id, "acc_s"] <= 0.1
        assert of[judge.id, "h_o"] <= 0.3
