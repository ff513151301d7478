"""The entry of the benchmarks: its names and options, the rows' files, and the commit in them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.core import commit as commits
from benchmarks.core import rows as rows_module
from benchmarks.core.meter import in_new_process, peak_mib
from benchmarks.core.options import parser_of
from benchmarks.core.registry import BENCHMARKS
from benchmarks.core.rows import read_rows, replace_rows, write_rows
from benchmarks.core.sharing import shared_out
from trace_erasure.evaluation import Row

ROW = Row("m", "t", "trace", "mean", "judge@1", "acc_e", 1 / 3, 1, 3, 0.0, 1.0, 0, "items=3:ab")


def test_every_name_is_listed_with_its_line(capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out.splitlines()
    for name, one in BENCHMARKS.items():
        assert any(line.split() == [name, *one.summary.split()] for line in listed)


def test_an_unknown_name_is_refused_with_all_names(capsys):
    assert main(["erasures"]) == 2
    message = capsys.readouterr().err
    assert "no benchmark 'erasures'" in message and "many-strength" in message
    assert main([]) == 2


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_the_common_options_that_it_takes(name, tmp_path):
    one = BENCHMARKS[name]
    given = {"model": "emoji-flux", "device": "cuda", "work": tmp_path, "shard": "1/2"}
    given |= {"out": tmp_path, "engine": "ray"}
    own = [text for key in one.takes for text in (f"--{key}", str(given[key]))]
    found = parser_of(name, one).parse_args(own)
    assert callable(one.run)
    for key in one.takes:
        assert getattr(found, key) == ((1, 2) if key == "shard" else given[key])
    if "work" in one.takes:
        defaults = parser_of(name, one).parse_args([])
        assert defaults.work == Path("runs") / one.folder


@pytest.mark.parametrize(
    ("option", "value"), [("--shard", "2/2"), ("--model", "sd"), ("--tasks", "objcts")]
)
def test_wrong_options_are_refused(capsys, option, value):
    with pytest.raises(SystemExit) as caught:
        main(["erasure", option, value])
    assert caught.value.code == 2 and value in capsys.readouterr().err


def test_one_picture_of_a_concept_is_too_few_for_its_two_groups(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["many-strength", "--images", "1"])
    assert caught.value.code == 2 and "give 2 or more" in capsys.readouterr().err


def test_bad_input_is_one_line_of_error(capsys, tmp_path):
    own = ["--settings", str(tmp_path / "none.yaml"), "--work", str(tmp_path)]
    assert main(["compare", "--methods", "uce", *own]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and "benchmarks sweep" in message


def test_rows_stand_by_model_and_carry_the_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "commit", lambda: "abc-dirty")
    file = write_rows("objects", "emoji-sd", [ROW], tmp_path)
    assert file == tmp_path / "emoji-sd" / "objects.jsonl"
    (line,) = file.read_text().splitlines()
    assert json.loads(line)["commit"] == "abc-dirty" and json.loads(line)["value"] == 0.333333
    assert read_rows(file) == [replace(ROW, value=0.333333)]


def test_rows_that_stay_keep_their_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "commit", lambda: "first")
    file = write_rows("scale", "random", [ROW, replace(ROW, task="u")], tmp_path)
    before = file.read_text().splitlines()
    monkeypatch.setattr(rows_module, "commit", lambda: "second")
    replace_rows("scale", "random", [ROW], lambda row: row.task != "t", tmp_path)
    kept, new = file.read_text().splitlines()
    assert kept == before[1] and json.loads(new)["commit"] == "second"


def test_the_commit_is_that_of_the_clone_and_says_when_code_has_changed(tmp_path):
    def git(*arguments: str) -> str:
        user = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *user, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert commits.commit(tmp_path) is None
    for folder in ("src", "benchmarks/results"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").write_text("1")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD")
    commits.commit.cache_clear()
    assert commits.commit(tmp_path) == head
    (tmp_path / "benchmarks" / "results" / "file").write_text("2")
    commits.commit.cache_clear()
    assert commits.commit(tmp_path) == head
    (tmp_path / "src" / "file").write_text("2")
    commits.commit.cache_clear()
    assert commits.commit(tmp_path) == f"{head}-dirty"
    commits.commit.cache_clear()


def test_each_process_does_its_own_units_and_the_last_has_all():
    units: list[Any] = [SimpleNamespace(owner=name, title=name) for name in ("a", "b", "a", "c")]
    done: dict[int, str] = {}

    def measure(unit, draw):
        if draw:
            done[id(unit)] = unit.title
        return done.get(id(unit))

    assert shared_out(units, (0, 2), measure) is None
    assert sorted(done.values()) == ["a", "a", "c"]
    assert shared_out(units, (1, 2), measure) == ["a", "b", "a", "c"]


def test_work_in_a_new_process_has_its_own_memory():
    block = bytearray(256 << 20)
    block[::4096] = b"x" * len(block[::4096])
    assert peak_mib() > 256 and in_new_process(peak_mib) < 256
