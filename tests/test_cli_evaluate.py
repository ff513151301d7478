"""The verbs that measure: what they keep, print, and refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from support.cli import call, fails
from support.evaluation import save_classifier
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.evaluation import RunFolder
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import fingerprint
from trace_erasure.testing import tiny_stable_diffusion

TASK = """
name: foxes
version: 2
description: A fox and a cat.
sampling: {{steps: {steps}, guidance_scale: 2.0}}
concepts: {{fox: {{expects: [subject/fox], words: {{x: [a fox]}}}}}}
groups:
  target: [{{templates: ["{{x}}", "a picture of {{x}}"], seeds: 1}}]
  retain: [{{from: objects, names: [cat], templates: ["{{x}}"], seeds: 2}}]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A model, a judge, an erasure, and a user's own folder of tasks."""
    folder = tmp_path_factory.mktemp("world")
    pipe = tiny_stable_diffusion()
    pipe.save_pretrained(folder / "model")
    save_classifier(folder / "judge")
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    change = {
        path: LowRank(draw(2, linear.in_features), draw(linear.out_features, 2))
        for path, linear in Denoiser(pipe).maps().items()
    }
    record: Any = {"concepts": [{"phrase": "fox"}]}
    Erasure("stable-diffusion", fingerprint(pipe), change, {}, record).save(folder / "fox")
    (folder / "config" / "trace-erasure" / "tasks").mkdir(parents=True)
    own = folder / "config" / "trace-erasure" / "tasks" / "foxes.yaml"
    own.write_text(TASK.format(steps=2), "utf-8")
    (folder / "slow").mkdir()
    (folder / "slow" / "foxes.yaml").write_text(TASK.format(steps=3), "utf-8")
    return folder


@pytest.fixture(autouse=True)
def home(world, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(world / "config"))


def evaluate(world, out, *more):
    files = ["--model", world / "model", "--judge", world / "judge", "--out", out]
    return call("evaluate", "--task", "foxes", *files, *more)


@pytest.fixture(scope="module")
def measured(world, tmp_path_factory):
    """An evaluation with controls and two strengths, in two shards one after the other."""
    out = tmp_path_factory.mktemp("measured") / "out"
    more = ["--erasure", world / "fox.safetensors", "--strength", 0.5, "--strength", 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(world / "config"))
        first = evaluate(world, out, *more, "--batch", 2, "--shard", "0/2")
        assert first.exit_code == 0, first.output
        assert "the last one prints the tables" in first.stdout
        second = evaluate(world, out, *more, "--batch", 2, "--shard", "1/2")
        assert second.exit_code == 0, second.output
    return out, second


def test_evaluate_keeps_every_verdict_and_prints_controls(measured):
    out, result = measured
    found = RunFolder(out).verdicts.read()
    assert {v.method for v in found} == {"base", "blank", "drift", "trace", "trace × 0.5"}
    assert len(found) == 5 * 4
    assert all((out / "images" / f"{v.image}.png").is_file() for v in found)
    words = " ".join(result.stdout.split())
    for said in ("What the controls say", "H_c", "trace-erasure report"):
        assert said in words


def test_a_second_run_draws_nothing(measured, world, monkeypatch):
    out, _ = measured
    monkeypatch.setattr(
        "trace_erasure.evaluation.runs.run_folder.collect_verdicts", lambda *_, **__: 1 / 0
    )
    more = ["--erasure", world / "fox.safetensors", "--batch", 2, "--shard", "0/2"]
    assert evaluate(world, out, *more).exit_code == 0


def test_compare_and_report(measured, tmp_path):
    out, _ = measured
    rows = json.loads(call("compare", out, "--format", "json").stdout)
    assert {row["task"] for row in rows} == {"foxes"}
    text = call("compare", out, "--format", "markdown").stdout
    assert "| original model (control) |" in text and "protocols" in text
    result = call("report", out, "--out", tmp_path / "report", "--title", "Foxes gone")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "Foxes gone" in page and "foxes: trace by strength" in page
    # Original, drift and method for each of four items, and the strip: original and method.
    assert page.count("<img") == 3 * 4 + 2


def test_different_protocols_do_not_share_a_table(measured, world, tmp_path):
    out, _ = measured
    slow = ["--tasks-dir", world / "slow", "--no-controls", "--quiet"]
    assert evaluate(world, tmp_path / "slow", *slow).exit_code == 0
    assert "steps 2 against 3" in fails(call("compare", out, tmp_path / "slow"))


def test_ls_tasks_shows_the_users_own(world):
    said = call("ls", "tasks").stdout
    assert "foxes" in said and "A fox and a cat." in said and "retention" in said
    assert "no folder" in fails(call("ls", "tasks", "--tasks-dir", world / "missing"))


def test_evaluate_refuses(world, tmp_path):
    out = tmp_path / "out"
    assert "--strength belongs" in fails(evaluate(world, out, "--strength", 1))
    fox = ["--erasure", world / "fox.safetensors"]
    assert "strength 3" in fails(evaluate(world, out, *fox, "--strength", 3))
    assert "shard 2/2 does not exist" in fails(evaluate(world, out, "--shard", "2/2"))
    assert "no concept 'dog'" in fails(evaluate(world, out, "--concept", "dog"))
    nobody = call("evaluate", "--task", "foxes", "--model", world / "model", "--out", out)
    assert "nobody to judge" in fails(nobody)
    wrong = call("evaluate", "--task", "fxes")
    assert "no task called 'fxes'; did you mean 'foxes'?" in fails(wrong)
    assert not out.exists()
    assert "no verdicts in" in fails(call("report", out))
    assert not out.exists()
