"""``doctor`` and what surrounds the verbs: suggestions, completion."""

import json

import pytest
from typer.testing import CliRunner

from trace_erasure.cli import app
from trace_erasure.utils import environment
from trace_erasure.utils.environment import Installed

RUN = CliRunner()


def test_doctor_finds_what_is_needed_here():
    result = RUN.invoke(app, ["doctor", "--json"])
    found = json.loads(result.stdout)
    assert result.exit_code == 0 and found["problems"] == []
    assert found["packages"]["diffusers"] and found["devices"][0].startswith("cpu")
    assert set(found["extras"]) >= {"nudenet", "faces"} and "dev" not in found["extras"]
    table = RUN.invoke(app, ["doctor"], env={"COLUMNS": "80"}).stdout
    assert "Everything that is needed is there." in table
    assert all(len(line) <= 80 for line in table.splitlines())


def test_doctor_names_what_is_missing_and_the_command(monkeypatch):
    wrong = (Installed("diffusers", "0.2", ">=0.40,<1", False), Installed("peft", None, "", False))
    monkeypatch.setattr(environment, "installed", lambda: wrong)
    result = RUN.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert (
        "pip install 'diffusers>=0.40,<1'" in result.stdout and "peft is missing" in result.stdout
    )


def test_doctor_says_where_the_cache_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    result = RUN.invoke(app, ["doctor"])
    assert result.exit_code == 1 and "XDG_CACHE_HOME" in result.stdout


def test_bounds_are_read_from_the_package_itself():
    found = {one.name: one for one in environment.installed()}
    assert found["torch"].fits and found["torch"].wanted == ">=2.6"
    assert found["nudenet"].extra == "nudenet"


@pytest.mark.parametrize(("typed", "meant"), [("erse", "erase"), ("evalute", "evaluate")])
def test_a_mistyped_verb_is_answered_with_the_nearest(typed, meant):
    result = RUN.invoke(app, [typed])
    assert result.exit_code == 2 and meant in result.output


def test_shells_can_complete_verbs():
    assert "--install-completion" in RUN.invoke(app, ["--help"]).output
