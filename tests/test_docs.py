"""The documents name only what exists: links, commands, options, files, imports, versions."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "src").rglob("README.md")),
    ROOT / "training" / "README.md",
    ROOT / "world" / "README.md",
]
PACKAGE = ROOT / "src" / "trace_erasure"
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:\w+=\S+ )*(trace-erasure|python|make)\b")
WRITTEN = ("out", "runs", "demo-out", "OUT", "SCENES")
"""Folders that commands write."""
FROM_0_1_0 = ROOT / "CHANGELOG.md"
"""Names what there was, too."""


def name_of(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


def fences(text: str, *languages: str) -> list[str]:
    """The fenced blocks of ``text`` in one of ``languages``, without their indent."""
    found = FENCE.finditer(text)
    return [re.sub(f"(?m)^{m[1]}", "", m[3]) for m in found if m[2] in languages]


def prose(text: str) -> str:
    """``text`` without its fenced blocks."""
    return FENCE.sub("", text)


def anchors(file: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and mkdocs make them."""
    titles = re.findall(r"^#+ (.+)$", prose(file.read_text("utf-8")), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", title.replace("`", "")).strip().lower() for title in titles]
    return {re.sub(r"\s", "-", title) for title in plain}


def commands(text: str) -> Iterator[list[str]]:
    """Every command of ``text``, in fenced blocks and in the middle of a sentence."""
    lines = [line for block in fences(text, "", "sh", "bash") for line in block.splitlines()]
    lines += [span for span in CODE.findall(prose(text))]
    for line in lines:
        if COMMAND.match(line):
            words = shlex.split(line.replace("…", ""), comments=True)
            while "=" in words[0]:
                del words[0]
            yield words


def files_named(text: str) -> set[str]:
    """Paths of files in code spans, without those that a run writes."""
    spans = {
        span for span in CODE.findall(prose(text)) if re.fullmatch(r"[\w.-]+(/[\w.-]+)+", span)
    }
    ends = (".py", ".yaml", ".md", ".txt", ".mjs", ".jsonl")
    return {span for span in spans if span.endswith(ends) and span.split("/")[0] not in WRITTEN}


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(file):
    for target in LINK.findall(prose(file.read_text("utf-8"))):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        # The site has CONTRIBUTING.md and its like beside the pages of docs.
        found = file.parent / path if path else file
        if not found.exists() and (ROOT / f"{found.stem.upper()}.md").exists():
            found = ROOT / f"{found.stem.upper()}.md"
        assert found.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(found), f"{target}: no such heading"


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_every_command_exists(file):
    if file == FROM_0_1_0:
        return
    for words in commands(file.read_text("utf-8")):
        check_command(words)


def check_command(words: list[str]) -> None:
    """Fails where a verb, an option, a module or a target is not there."""
    from benchmarks.core.options import parser_of
    from benchmarks.core.registry import BENCHMARKS

    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        named = [word for word in words[1:] if "=" not in word]
        assert set(named) <= set(targets), f"{' '.join(words)}: no such target"
    elif words[0] == "python" and words[1] != "-m":
        assert (ROOT / words[1]).is_file(), f"{' '.join(words)}: no such file"
    elif words[0] == "python":
        assert importlib.util.find_spec(words[2]) is not None, f"no module {words[2]}"
        if words[2] == "benchmarks" and len(words) > 3 and words[3] != "NAME":
            assert words[3] in BENCHMARKS, f"no benchmark {words[3]}"
            parser_of(words[3], BENCHMARKS[words[3]]).parse_args(words[4:])
    elif words[0] == "trace-erasure" and len(words) > 1 and words[1] != "--help":
        check_verb(words[1:])


def check_verb(words: list[str]) -> None:
    """Parses a command of ours as the command line does, values included; nothing is run."""
    from typer.main import get_command

    from trace_erasure.cli import app

    if ">" in words:  # what the shell takes
        words = words[: words.index(">")]
    verb, rest = get_command(app), words
    while rest and rest[0] in getattr(verb, "commands", {}):
        verb, rest = verb.commands[rest[0]], rest[1:]  # type: ignore[attr-defined]
    assert not hasattr(verb, "commands") or not rest, f"{' '.join(words)}: no such verb"
    if not rest or "--help" in rest:  # a verb that is only named
        return
    try:
        verb.make_context(words[0], list(rest))
    except Exception as error:  # of the parser, which typer brings along
        pytest.fail(f"trace-erasure {' '.join(words)}: {error!r} {getattr(error, 'message', '')}")


def test_commands_that_would_be_refused_are_found():
    for wrong in (
        "erase --concept fox --surogate cat", "export f.safetensors --for photoshop",
        "takedown begin", "erase --concept fox --steps many", "generate --prompt fox fox",
    ):  # fmt: skip
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            check_verb(shlex.split(wrong))


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_every_python_snippet_compiles_and_imports_what_exists(file):
    for block in fences(file.read_text("utf-8"), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                missing = {alias.name for alias in node.names if not hasattr(module, alias.name)}
                assert not missing, f"{node.module} has no {missing}"
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)


GIVEN = ("pipe", "erasure", "captions")
"""Names that every page may take for granted."""


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_every_name_in_a_python_snippet_is_defined_on_its_page(file):
    blocks = fences(file.read_text("utf-8"), "python")
    if not blocks or file == FROM_0_1_0:
        return
    given = "".join(f"{name} = ...\n" for name in GIVEN)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=F821,E9", "-q", "-"]
    done = subprocess.run(
        command, input=given + "\n".join(blocks), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", ["README.md", "docs/own-model.md", "src/trace_erasure/math/README.md"]
)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    """On small pipelines of the true classes, in the place of models that are not here."""
    import trace_erasure
    from trace_erasure.testing import CAPTIONS
    from trace_erasure.testing.families import tiny

    def load_pipeline(name: str, **_: object) -> object:
        kinds = {"xl": "stable-diffusion-xl", "FLUX": "flux", "Z-Image": "z-image"}
        return tiny(next((kinds[part] for part in kinds if part in name), "stable-diffusion"))

    monkeypatch.setattr(trace_erasure, "load_pipeline", load_pipeline, raising=False)
    for name in ("world_captions", "photo_captions"):
        monkeypatch.setattr(f"trace_erasure.concepts.captions.{name}", lambda *_: CAPTIONS)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    blocks = fences((ROOT / page).read_text("utf-8"), "python")
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_every_file_and_module_that_is_named_exists(file):
    if file == FROM_0_1_0:
        return
    text = file.read_text("utf-8")
    places = [ROOT, PACKAGE, file.parent, PACKAGE / "evaluation" / "tasks" / "files"]
    for path in files_named(text):
        assert any((place / path).exists() for place in places), f"{path}: no such file"
    for name in re.findall(r"(?:`|^::: )(trace_erasure(?:\.\w+)+)", text, re.MULTILINE):
        assert resolves(name), f"{name}: no such name"


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something that a module holds."""
    module, rest = name, []
    while module:
        try:
            value = importlib.import_module(module)
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            rest.insert(0, last)
            continue
        for part in rest:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 130


@pytest.mark.parametrize("file", sorted((ROOT / "docs" / "method").glob("*.md")), ids=name_of)
def test_a_page_of_the_method_is_short(file):
    assert file.stat().st_size < 15_000


@pytest.mark.parametrize("folder", ["math", "trace", "pipeline"])
def test_the_readme_of_a_folder_names_every_module(folder):
    text = (PACKAGE / folder / "README.md").read_text("utf-8")
    named = {Path(span).stem for span in CODE.findall(text)}
    modules = {file.stem for file in (PACKAGE / folder).glob("*.py")} - {"__init__"}
    assert modules <= named, f"not in the README: {modules - named}"


def test_the_architecture_names_every_layer_in_order():
    from tests.test_layers import LAYERS

    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", text, re.MULTILINE)
    named = [set(re.findall(r"`(\w+)`", units)) for _, units in rows]
    assert named == [set(layer) for layer in LAYERS]
    assert [int(rank) for rank, _ in rows] == [*range(1, len(LAYERS) + 1)]


def test_the_security_page_names_every_dependency_with_its_bound():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = [line for extra in project["optional-dependencies"].values() for line in extra]
    needed += project["dependencies"]  # last, since their bounds count
    parts = [re.fullmatch(r"([\w-]+)(?:\[\w+\])?(.*)", line) for line in needed]
    bounds = {match[1]: match[2] or "any" for match in parts if match}
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    table = dict(re.findall(r"^\| ([\w-]+) \| ([^|]+) \| \d", text, re.MULTILINE))
    assert table == bounds


def test_the_example_baseline_of_the_contributing_page_erases(monkeypatch):
    from trace_erasure.concepts.concept import Concept
    from trace_erasure.pipeline.loading import load_pipeline

    blocks = fences((ROOT / "CONTRIBUTING.md").read_text("utf-8"), "python")
    source = next(block for block in blocks if "Baseline" in block)
    module = ModuleType("contributing_example")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look it up
    exec(compile(source, "CONTRIBUTING.md", "exec"), vars(module))
    erasure = module.LastToken().erase(load_pipeline("emoji-sd"), [Concept("fox", "cat")])
    assert len(erasure.delta) == 14


def test_the_example_task_of_the_contributing_page_loads(tmp_path):
    from trace_erasure.evaluation import load_task

    source = fences((ROOT / "CONTRIBUTING.md").read_text("utf-8"), "yaml")[0]
    (tmp_path / "fruit.yaml").write_text(source, "utf-8")
    task = load_task("fruit", folder=tmp_path)
    assert {item.concept for item in task.items} >= {"apple", "banana"}
