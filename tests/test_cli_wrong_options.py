"""Every option of every verb with values that it cannot be: a message, and no traceback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from support.cli import call
from support.evaluation import save_classifier
from trace_erasure import Concept, erase, load_pipeline
from trace_erasure.cli import app
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion

VALUES = ("9" * 400, "loop")
"""A number that nothing can be, too long for a file's name; a link to itself."""
MODEL = ("--model", "model")
OUT = ("--out", "out")
VERBS: dict[str, tuple[str, ...]] = {
    "attack": ("fox.safetensors", "--task", "objects", "--attack", "typo", *MODEL, *OUT),
    "capacity": ("fox.safetensors", *MODEL),
    "certify": ("fox.safetensors", *MODEL, "--paths", "0", "--steps", "1"),
    "compare": ("folder",),
    "erase": ("--concept", "fox", "--surrogate", "dog", "--captions", "captions", *MODEL, *OUT),
    "evaluate": ("--task", "objects", "--erasure", "fox.safetensors", *MODEL, *OUT),
    "export": ("fox.safetensors", "--for", "diffusers", *OUT),
    "forecast": ("--concept", "fox", "--surrogate", "dog", "--name", "cat", *MODEL),
    "generate": ("--prompt", "a fox", *MODEL, "--count", "1", "--steps", "1", *OUT),
    "info": ("fox.safetensors",),
    "ls": ("models",),
    "merge": ("fox.safetensors", "horse.safetensors", *MODEL, *OUT),
    "report": ("folder", *OUT),
    "reproduce": ("mace-objects", "--check"),
    "validate": ("spec.yaml",),
    "takedown init": ("--ledger", "new.db", "--by", "me"),
    "takedown add": ("--concept", "fox", "--ledger", "ledger.db", "--by", "me"),
    "takedown withdraw": ("1", "--reason", "a reason", "--ledger", "ledger.db", "--by", "me"),
    "takedown status": ("--ledger", "ledger.db"),
    "takedown verify": (*MODEL, "--ledger", "ledger.db"),
}
"""Arguments of verbs that are made wrong one by one."""
TEXT = {"--state-prompt"}
"""Options that take any text, which would be trained on."""


def parameters(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(verb, one of its options or arguments), of all verbs."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from parameters(command, (*path, name))
        else:
            yield from ((" ".join((*path, name)), one) for one in command.params)


def changed(given: tuple[str, ...], parameter: Any, value: str) -> list[str]:
    """``given`` with ``value`` for ``parameter``."""
    option = parameter.opts[0]
    if not option.startswith("-"):
        return [value, *given] if given[0].startswith("-") else [value, *given[1:]]
    if option in given:
        at = given.index(option) + 1
        return [*given[:at], value, *given[at + 1 :]]
    return [*given, option, value]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, two erasures, and everything else that the verbs read."""
    folder = tmp_path_factory.mktemp("place")
    tiny_stable_diffusion().save_pretrained(folder / "model")
    pipe = load_pipeline(folder / "model")
    for name in ("fox", "horse"):
        erase(pipe, Concept(name, "dog"), captions=CAPTIONS).save(folder / name)
    save_classifier(folder / "judge")
    (folder / "captions").write_text("\n".join(CAPTIONS))
    (folder / "spec.yaml").write_text("model: model\nconcepts: [{phrase: fox}]\n")
    (folder / "folder").mkdir()
    os.symlink("loop", folder / "loop")
    assert call("takedown", "init", "--ledger", folder / "ledger.db").exit_code == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_value_is_a_message(verb, place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("world_captions", "photo_captions"):
        monkeypatch.setattr(f"trace_erasure.concepts.captions.{name}", lambda *_: CAPTIONS)
    tried = 0
    for name, parameter in parameters(typer.main.get_command(app)):
        if name != verb or getattr(parameter, "is_flag", False) or {*parameter.opts} & TEXT:
            continue
        for value in VALUES:
            done = call(*verb.split(), *changed(VERBS[verb], parameter, value))
            tried += 1
            said = f"{verb} {parameter.opts[0]} {value[:9]}: {done.exception!r} {done.stderr}"
            assert done.exception is None or isinstance(done.exception, SystemExit), said
            assert done.exit_code in (0, 2, 3), said
            assert "Traceback" not in done.output and len(done.stderr) < 2500, said
    assert tried


def test_the_table_has_every_verb_with_options():
    verbs = {name for name, one in parameters(typer.main.get_command(app))
             if not getattr(one, "is_flag", False)}  # fmt: skip
    assert verbs - VERBS.keys() <= {"demo", "studio", "cache", "doctor", "takedown build"}
