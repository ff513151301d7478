"""Every verb that prints a result prints it as JSON, too; tables fit 80 columns."""

from __future__ import annotations

import json

import pytest
from typer.main import get_command

from support.cli import call
from trace_erasure.cli import app
from trace_erasure.testing import tiny_stable_diffusion

NO_RESULT = {"studio", "demo"}
"""They open a page, or make one."""
QUIET = {
    "attack", "capacity", "certify", "demo", "erase", "evaluate", "export", "forecast", "generate",
    "merge", "reproduce", "takedown build", "takedown verify",
}  # fmt: skip
"""Verbs that work long enough to have progress."""


def verbs():
    """Name to verb, those of a group with the group's name."""
    for name, verb in get_command(app).commands.items():  # type: ignore[attr-defined]
        if hasattr(verb, "commands"):
            yield from ((f"{name} {inner}", one) for inner, one in verb.commands.items())
        else:
            yield name, verb


VERBS = dict(verbs())


def options_of(verb):
    return {option for parameter in verb.params for option in parameter.opts}


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_json_for_its_result(name):
    assert ("--json" in options_of(VERBS[name])) == (name not in NO_RESULT)


@pytest.mark.parametrize("name", sorted(QUIET))
def test_every_verb_with_progress_can_be_quiet(name):
    assert "--quiet" in options_of(VERBS[name])


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_every_verb_fits_80_columns(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    result = call(*name.split(), "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    "what", ["attacks", "concepts", "families", "models", "objectives", "packs", "recipes", "tasks"]
)
def test_listings_fit_80_columns_and_are_rows_in_json(what, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = call("ls", what)
    assert shown.exit_code == 0
    assert max(map(len, shown.stdout.splitlines())) <= 80
    rows = json.loads(call("ls", what, "--json").stdout)
    assert rows and all(isinstance(cell, str) for row in rows for cell in row.values())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_stable_diffusion().save_pretrained(folder)
    return folder


def said(*arguments):
    """What a command prints, read as JSON."""
    result = call(*arguments)
    assert result.exit_code in (0, 3), result.output
    return json.loads(result.stdout)


@pytest.mark.slow
def test_a_day_of_json(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ("--model", model, "--concept", "fox", "--surrogate", "dog")
    plan = said("erase", *asked, "--dry-run", "--json")
    assert plan["spec"]["concepts"][0]["phrase"] == "fox" and "verdict" in plan
    assert not (tmp_path / "out").exists()
    made = said("erase", *asked, "--json", "--quiet", "--force")
    assert made["file"] == "out/fox.safetensors"
    assert made["concepts"][0]["surrogate"] == "dog"
    assert said("info", made["file"], "--json")
    assert said("validate", "out/fox.yaml", "--json")["model"] == str(model)
    exported = said("export", made["file"], "--for", "comfyui", "--json")
    assert exported == {"file": "out/fox-comfyui.safetensors", "for": "comfyui"}
    drawn = said(
        "generate", "--prompt", "a fox", "--model", model, "--steps", 1, "--out", "p", "--json"
    )
    assert [(one["prompt"], one["seed"]) for one in drawn] == [("a fox", 0)]
    room = said("capacity", "--model", model, "--concept", "fox", "--json", "--quiet")
    assert {one["mode"] for one in room.values()} <= {"equality", "ridge"}
    other = ("--model", model, "--concept", "horse", "--surrogate", "dog", "--force")
    said("erase", *other, "--json")
    merged = said("merge", "out/fox.safetensors", "out/horse.safetensors", "--model", model,
                  "--json", "--force")  # fmt: skip
    assert [one["concept"] for one in merged["concepts"]] == ["fox", "horse"]
    assert said("certify", made["file"], "--model", model, "--paths", 0, "--json", "--quiet")


@pytest.mark.slow
def test_a_takedown_list_in_json(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said("takedown", "init", "--by", "me", "--json")["ledger"] == "takedown.db"
    asked = ("--concept", "fox", "--surrogate", "dog", "--by", "me")
    assert said("takedown", "add", *asked, "--json") == [{"id": 1, "concepts": ["fox"]}]
    (built,) = said("takedown", "build", "--model", model, "--by", "me", "--json", "--quiet")
    assert built["concepts"] == 1 and built["file"].endswith(".safetensors")
    assert said("takedown", "status", "--json")["requests"][0]["id"] == 1
    checked = said("takedown", "verify", "--json")
    assert checked["problems"] == [] and checked["files"]
    gone = said("takedown", "withdraw", 1, "--by", "me", "--json")
    assert gone == [{"id": 1, "concepts": ["fox"]}]
