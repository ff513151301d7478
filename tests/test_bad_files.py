"""Files that people write: broken, huge, mistyped ones give one message, and at once."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from support.cli import call
from trace_erasure.errors import InputError
from trace_erasure.evaluation import load_task
from trace_erasure.evaluation.report.tables import Table, to_markdown
from trace_erasure.testing import tiny_erasure
from trace_erasure.utils.markdown import code_span
from trace_erasure.utils.safe_yaml import LARGEST, parse_yaml, read_yaml

TASK = """
name: foxes
version: 1
sampling: {steps: 2, guidance_scale: 2.0}
concepts: {fox: {expects: [subject/fox], words: {x: [a fox]}}}
groups:
  target: [{templates: ["{x}"], seeds: 1}]
"""
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "aliases followed"),
        ("a: &a [*a]", "deep"),
        ("[" * 5000 + "]" * 5000, "deep"),
        ("x" * (LARGEST + 1), "longer than"),
        ("a: 1\na: 2", "given twice"),
        ("a: [", "not valid YAML"),
        ("a: 2024-99-99", "not valid YAML"),
    ],
    ids=["bomb", "cycle", "nested", "long", "twice", "broken", "date"],
)
def test_yaml_is_read_with_limits(text, said):
    started = time.perf_counter()
    with pytest.raises(InputError, match=said):
        parse_yaml(text, "spec")
    assert time.perf_counter() - started < 5


def test_yaml_with_a_few_aliases_and_a_byte_order_mark_is_read(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: &a [1, 2]\nb: *a\n")
    assert read_yaml(file) == {"a": [1, 2], "b": [1, 2]}
    assert parse_yaml("", "spec") is None
    with pytest.raises(InputError, match="there is no file"):
        read_yaml(tmp_path / "missing.yaml")


def test_verbs_refuse_a_bomb_and_a_huge_spec(tmp_path):
    for name, text in (("bomb.yaml", BOMB), ("huge.yaml", "# much\n" * 1_500_000)):
        (tmp_path / name).write_text(text, "utf-8")
        done = call("validate", tmp_path / name)
        assert done.exit_code == 2 and len(done.stderr.strip().splitlines()) == 1


def test_a_broken_task_file_hides_no_other(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("name: f\xfcchse\nversion: 1\n".encode("latin-1"))
    (tmp_path / "bomb.yaml").write_text(BOMB, "utf-8")
    (tmp_path / "list.yaml").write_text("- a", "utf-8")
    (tmp_path / "foxes.yaml").write_text(TASK, "utf-8")
    done = call("ls", "tasks", "--tasks-dir", tmp_path)
    assert done.exit_code == 0
    words = " ".join(done.stdout.split())
    assert "foxes" in words and words.count("cannot be used") == 3 and "UTF-8" in words


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("name: foxes", "name: [foxes]", "name"),
        ("version: 1", "version: one", "version"),
        ("{steps: 2, guidance_scale: 2.0}", "7", "sampling"),
        ("steps: 2", "steps: two", "steps"),
        ("steps: 2", "steps: 0", "steps"),
        ("guidance_scale: 2.0", "guidance_scale: -5", "guidance_scale"),
        ("guidance_scale: 2.0", "guidance_scale: .nan", "guidance_scale"),
        ("expects: [subject/fox]", "expects: subject/fox", "expects"),
        ("words: {x: [a fox]}", "words: [a fox]", "words"),
        ("words: {x: [a fox]}", "words: {x: a fox}", "words: x"),
        ('{templates: ["{x}"], seeds: 1}', "a fox", "target"),
        ('templates: ["{x}"]', 'templates: "{x}"', "templates"),
        ("seeds: 1", "seeds: many", "seeds"),
        ("seeds: 1", "seeds: [1, x]", "seeds, number 2"),
        ("groups:", "metrics: acc_e\ngroups:", "metrics"),
        ("groups:", "judges: [clip]\ngroups:", "judges, number 1"),
        ("groups:", "quirks: {odd: 1}\ngroups:", "quirks: odd"),
        ("groups:", "lists: {birds: {names: [owl]}}\ngroups:", "expects"),
        ("groups:", "prompts: {read: list.csv}\ngroups:", "read"),
        ("groups:", "prompts: {read: [../../list.csv]}\ngroups:", "leaves the folder"),
        ("groups:", "items: ../../../etc/passwd\ngroups:", "leaves the task's folder"),
        ("groups:", "items: /etc/passwd\ngroups:", "leaves the task's folder"),
    ],
)
def test_a_mistyped_task_file_is_one_message_with_its_field(tmp_path, old, new, field):
    assert old in TASK
    file = tmp_path / "foxes.yaml"
    file.write_text(TASK.replace(old, new), "utf-8")
    with pytest.raises(InputError) as error:
        load_task(file, prompts=tmp_path)
    assert field in str(error.value) and "foxes" in str(error.value)


def test_item_lists_that_are_no_csv_are_refused(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\nversion: 1\nitems: mine.csv\n", "utf-8")
    head = "prompt,seed,group,concept,expects,companion\n"
    line = "a fox,1,target,fox,subject/fox,\n"
    (tmp_path / "mine.csv").write_bytes(b"\xef\xbb\xbf" + (head + line).encode())
    assert load_task(tmp_path / "mine.yaml").items[0].prompt == "a fox"
    for data in (b"\xff\xfe\x00", (head + "a fox,x,target,fox,subject/fox,\n").encode()):
        (tmp_path / "mine.csv").write_bytes(data)
        with pytest.raises(InputError, match=r"mine\.csv"):
            load_task(tmp_path / "mine.yaml")


def test_markdown_carries_no_links_tags_or_escapes():
    odd = "fox\n# <b>[x](javascript:1)\x1b[31m|"
    text = to_markdown(Table(odd, (odd,), ((odd,),), odd))
    assert "\x1b" not in text and "<b>" not in text.replace(r"\<b\>", "")
    assert "[x](" not in text.replace(r"\[x\](", "")
    assert len(text.strip().splitlines()) == 7
    assert code_span("a`b") == "``a`b``"


def test_a_title_with_escapes_reaches_no_terminal(tmp_path):
    _, erasure = tiny_erasure()
    titled = erasure.record.model_copy(update={"title": "\x1b[2J\x9b31m fox\u202e"})
    file = replace(erasure, record=titled).save(tmp_path / "fox")
    for arguments in (("info", file), ("info", file, "--json")):
        done = call(*arguments)
        assert done.exit_code == 0 and "fox" in done.output
        assert not {"\x1b", "\x9b", "\u202e"} & {*done.output}


def test_a_file_that_is_replaced_is_said(tmp_path, caplog):
    _, erasure = tiny_erasure()
    with caplog.at_level("INFO", "trace_erasure"):
        file = erasure.save(tmp_path / "fox")
        assert "replaced" not in caplog.text
        erasure.save(file)
    assert f"{file} was there already and is replaced" in caplog.text
