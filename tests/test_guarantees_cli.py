"""The verbs ``certify`` and ``forecast`` on a tiny model in a folder."""

from __future__ import annotations

import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.cli import app
from trace_erasure.concepts.concept import Concept
from trace_erasure.testing import tiny_stable_diffusion
from trace_erasure.trace.erase import erase

CAPTIONS = [f"a picture of a {word}" for word in ("dog", "tree", "house", "red car", "boat")]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A model's folder and the file of an erasure."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pipe = tiny_stable_diffusion()
    pipe.save_pretrained(tmp_path / "model")
    concept = Concept("fox", surrogate="dog", templates=("a photo of a {x}",))
    file = erase(pipe, concept, finetune=None, captions=CAPTIONS).save(tmp_path / "fox")
    return tmp_path / "model", file


def test_certify_prints_and_writes(made):
    model, file = made
    options = ["certify", str(file), "--model", str(model), "--paths", "2", "--steps", "2"]
    before = file.read_bytes()
    shown = CliRunner().invoke(app, options)
    assert shown.exit_code == 0, shown.output
    for words in ("exact part", "Residual by position", "Statistical part", "Not covered"):
        assert words in shown.output
    assert file.read_bytes() == before
    whole = CliRunner().invoke(app, [*options, "--json", "--write"])
    assert whole.exit_code == 0, whole.output
    found = json.loads(whole.stdout[whole.stdout.index("{") :])
    assert Erasure.load(file).record.guarantee == found
    wrong = CliRunner().invoke(app, [*options[:-3], "1"])
    assert wrong.exit_code == 2


@pytest.mark.slow
def test_forecast_sorts_names_and_says_what_it_costs(made):
    model, _ = made
    options = ["forecast", "--model", str(model), "--concept", "fox", "--surrogate", "dog"]
    names = [part for name in ("tree", "house", "horse") for part in ("--name", name)]
    shown = CliRunner().invoke(app, [*options, *names])
    assert shown.exit_code == 0, shown.output
    for words in ("horse", "Plans by mean change", "Least collateral"):
        assert words in shown.output
    found = CliRunner().invoke(app, [*options, *names, "--json"])
    rows = json.loads(found.stdout[found.stdout.index("{") :])["names"]
    assert [row["network"] for row in rows] == sorted((r["network"] for r in rows), reverse=True)


@pytest.mark.slow
def test_forecast_shows_what_perfect_steering_would_leave_in_each_window(made, tmp_path):
    model, _ = made
    picture = tmp_path / "oracle.png"
    options = ["forecast", "--model", str(model), "--concept", "fox", "--surrogate", "dog"]
    options += ["--oracle", "--out", str(picture)]
    shown = CliRunner().invoke(app, options)
    assert shown.exit_code == 0, shown.output
    assert "Perfect steering of fox" in " ".join(shown.output.split())
    states = CliRunner().invoke(app, [*options, "--state-prompt", "a house", "--json"])
    found = json.loads(states.stdout[states.stdout.index("{") :])
    assert found["objective"] == "reverse_cfg" and set(found["prompts"]) == {"a house"}
    levels = [window["noise_level"] for window in found["windows"]]
    assert levels == sorted(levels) and levels[0] == 0
    with Image.open(picture) as sheet:
        assert sheet.height > len(levels) * sheet.width // 12
    assert CliRunner().invoke(app, [*options[:-3], "--state-prompt", "a house"]).exit_code == 2
