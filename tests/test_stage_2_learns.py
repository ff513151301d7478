"""Stage 2 by itself, closed form off: it learns what it is trained towards, and erases."""

from __future__ import annotations

import pytest

from trace_erasure import Concept, FinetuneConfig, erase, load_pipeline
from trace_erasure.concepts.concept import fill_template
from trace_erasure.concepts.steered_prompts import SteeredPrompts
from trace_erasure.evaluation import Judge, shipped_classifiers
from trace_erasure.math.objectives import mean_square
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.generate import generate
from trace_erasure.trace.finetune import finetune_adapter
from trace_erasure.trace.finetune_data import prepare_finetune_data
from trace_erasure.trace.training import StepRecord

DEVELOPMENT = "bus"
"""Erased by no task."""
NAMED = ("a {x}", "a picture of a {x}", "a {x} on a blue background", "a {x}, ink style", "{x}")
OTHERS = (
    "lion", "owl", "banana", "castle", "umbrella", "guitar", "sunflower", "helicopter", "cactus",
    "crown", "robot", "horse", "tree", "pineapple", "bicycle", "butterfly", "penguin", "elephant",
)  # fmt: skip


@pytest.mark.slow
def test_a_short_training_meets_most_of_its_late_targets():
    """An eighth of the usual training; at a rate of 1e-3 six tenths would be unmet."""
    denoiser = Denoiser(load_pipeline("emoji-sd"))
    settings = FinetuneConfig(
        steps=24, batch=4, trajectories=3, retain_trajectories=4, sampler_steps=5
    )
    prompts = SteeredPrompts.own(["a panda"], ["a mushroom"])
    data = prepare_finetune_data(denoiser, prompts, ["a dog", "a house"], settings, seed=0)
    late: list[float] = []

    def keep(record: StepRecord) -> None:
        late.append(record.terms["late"])

    with adapters.frozen(denoiser):
        finetune_adapter(denoiser, data, settings, seed=0, on_step=keep)
    whole = mean_square(data.e_p - data.e_s)[data.late].mean().item()
    assert sum(late[-5:]) / 5 < 0.35 * whole


def seen(judge: Judge, images: list) -> list[str]:
    subjects = [i for i, label in enumerate(judge.labels) if label.startswith("subject/")]
    best = judge.classify(images)[:, subjects].argmax(1).tolist()
    return [judge.labels[subjects[i]].removeprefix("subject/") for i in best]


@pytest.mark.study
@pytest.mark.parametrize(
    "model",
    [
        "emoji-sd",
        pytest.param(
            "emoji-flux",
            marks=pytest.mark.xfail(
                reason="an eighth of the late target stays unmet; up to 4 of 16 pictures show it",
                strict=True,
            ),
        ),
    ],
)
def test_stage_2_alone_erases_a_concept_and_keeps_the_others(model):
    pipe = load_pipeline(model)
    erasure = erase(pipe, Concept(DEVELOPMENT), closed_form=None, finetune=FinetuneConfig())
    named = [fill_template(template, DEVELOPMENT) for template in NAMED] * 4
    others = [fill_template("a {x}", name) for name in OTHERS] * 2
    seeds = list(range(len(named))), list(range(500, 500 + len(others)))
    before = generate(pipe, named, seeds[0]), generate(pipe, others, seeds[1])
    with erasure.attach(pipe):
        after = generate(pipe, named, seeds[0]), generate(pipe, others, seeds[1])
    for judge in shipped_classifiers():
        assert seen(judge, before[0]).count(DEVELOPMENT) >= 0.9 * len(named)
        assert seen(judge, after[0]).count(DEVELOPMENT) <= 0.05 * len(named)
        kept = [
            sum(found == name for found, name in zip(seen(judge, images), OTHERS * 2, strict=True))
            for images in (before[1], after[1])
        ]
        assert kept[1] >= 0.97 * kept[0]
