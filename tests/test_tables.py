"""The tables of the README and the docs, filled from rows in a temporary folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.comparison.ablation import ABLATION
from benchmarks.comparison.methods import COMPARED
from benchmarks.tables import documents
from benchmarks.tables.definitions import FOLDER, read_tables
from benchmarks.tables.schema import Table
from trace_erasure.errors import InputError

ROOT = Path(__file__).parents[1]
PROTOCOL = (
    "task=objects version=1 items=520:ab12 scheduler=DDIMScheduler steps=20 guidance_scale=3.5 "
    "size=native precision=float32"
)
EMPTY = "<!-- table:objects -->\n<!-- /table -->"


TABLES = read_tables()


@pytest.fixture
def root(tmp_path):
    """A project with one table on its first page."""
    (tmp_path / "benchmarks" / "results" / "emoji-sd").mkdir(parents=True)
    (tmp_path / "docs" / "results").mkdir(parents=True)
    (tmp_path / "README.md").write_text(f"Before.\n\n{EMPTY}\n\nAfter.\n")
    return tmp_path


def tables_with(**changes) -> dict[str, Table]:
    """The project's tables, which need no commit, and one of one task on the first page."""
    methods = {"base": "original model", "trace": "**TRACE**"}
    judges = {"resnet": "ResNet", "regnet": "RegNet"}
    columns = TABLES["kinds"].columns
    command = "python -m benchmarks erasure --tasks objects"
    own = Table({"objects": "objects"}, methods, judges, columns, command, code="unrecorded")
    return {**TABLES, "objects": replace(own, **changes)}


def rewrite(root: Path, **changes) -> list[Path]:
    return documents.rewrite(root, tables_with(**changes))


def row(**changes):
    return {
        "model": "emoji-sd",
        "task": "objects",
        "method": "trace",
        "concept": "mean",
        "judge": "resnet@0c1d2e3f4a5b",
        "metric": "acc_e",
        "value": 0.0316,
        "numerator": None,
        "n": 10,
        "low": 0.01,
        "high": 0.0914,
        "seed": 0,
        "protocol": PROTOCOL,
        **changes,
    }


def write(root: Path, *rows, name: str = "objects") -> None:
    lines = "".join(json.dumps(r) + "\n" for r in rows)
    (root / "benchmarks" / "results" / "emoji-sd" / f"{name}.jsonl").write_text(lines)


def cells(text: str, *labels: str) -> list[str]:
    """The cells of the one line that begins with ``labels``."""
    start = "| " + " | ".join(labels) + " |"
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in line.removeprefix(start).strip(" |").split("|")]


def test_rows_reach_their_cells_and_the_rest_is_a_dash(root):
    write(
        root,
        row(),
        row(concept="worst", value=0.2, low=0.1, high=0.35),
        row(concept="fox", value=0.9),
        row(metric="h_o", value=None, low=None, high=None),
        row(judge="regnet@1", metric="acc_s", value=1.0, low=None, high=None),
    )
    assert rewrite(root) == [root / "README.md"]
    text = (root / "README.md").read_text()
    trace = "**TRACE**"
    assert cells(text, trace, "ResNet") == [
        "3.2 (1.0 to 9.1)",
        "—",
        "—",
        "—",
        "20.0 (10.0 to 35.0)",
    ]
    assert cells(text, trace, "RegNet") == ["—", "—", "100.0", "—", "—"]
    assert cells(text, "original model", "ResNet") == ["—"] * 5
    assert "90.0" not in text
    assert "10 concepts, 520 items, 20 steps, guidance scale 3.5" in text
    assert "`python -m benchmarks erasure --tasks objects`" in text
    assert text.startswith("Before.\n\n<!-- table:objects -->\n|")
    assert text.endswith("<!-- /table -->\n\nAfter.\n")


def test_a_second_run_changes_nothing_and_new_rows_replace_old_ones(root):
    write(root, row())
    rewrite(root)
    assert rewrite(root) == []
    write(root, row(value=0.5))
    rewrite(root)
    text = (root / "README.md").read_text()
    assert "50.0 (" in text and "3.2 (" not in text
    assert sorted(path.name for path in root.iterdir()) == ["README.md", "benchmarks", "docs"]


def test_without_results_every_cell_is_a_dash(root):
    rewrite(root)
    text = (root / "README.md").read_text()
    assert cells(text, "original model", "RegNet") == ["—"] * 5
    assert "Not measured yet." in text


def test_documents_are_filled_too(root):
    write(root, row(task="styles", metric="acc_s", value=0.5, method="base"), name="styles")
    (root / "docs" / "model-card.md").write_text("<!-- table:base -->\nold\n<!-- /table -->\n")
    rewrite(root)
    text = (root / "docs" / "model-card.md").read_text()
    assert cells(text, "styles", "ResNet") == ["—", "—", "50.0 (1.0 to 9.1)"]
    assert "old" not in text


def test_figures_that_are_no_rates_have_a_form_of_their_own(root):
    kind = dict(model="random", task="sdxl", method="stage 1 only", judge="none", concept="fox")
    kind |= dict(protocol="threads=1 captions=50", low=None, high=None)
    write(root, row(**kind, metric="maps", value=141.0), row(**kind, metric="seconds", value=61.5))
    page = root / "docs" / "results" / "model-sizes.md"
    page.write_text("<!-- table:real-sizes -->\n<!-- /table -->\n")
    rewrite(root)
    assert cells(page.read_text(), "SDXL") == ["141", "62", *["—"] * 7]
    assert "Measured, on random weights. With threads 1 captions 50." in page.read_text()


def test_a_sparse_table_shows_only_what_was_measured(root):
    page = root / "docs" / "results" / "comparison.md"
    empty = "<!-- table:{} -->\n<!-- /table -->\n"
    page.write_text(empty.format("comparison") + empty.format("comparison-tests"))
    rewrite(root)
    assert page.read_text().splitlines()[1].startswith("Not measured yet. To fill it: `make")
    assert "|" not in page.read_text()
    own = dict(task="compare-objects", seed=-1)
    write(
        root,
        row(**own, metric="h_o", value=0.97, low=0.9, high=0.99),
        row(**own, metric="h_o", value=0.96, low=None, high=None, judge="regnet@1"),
        row(**own, method="uce", metric="paired_p_kept", value=0.00123, low=None, high=None),
        name="compare-emoji-sd-objects",
    )
    rewrite(root)
    text = page.read_text()
    trace = cells(text, "objects", "**TRACE**")
    assert trace == ["97.0 (90.0 to 99.0)", "96.0", *["—"] * 4]
    assert cells(text, "objects", "UCE") == [*["—"] * 5, "0.0012", "—", "—"]
    assert "SPEED" not in text and "people" not in text


def test_every_part_that_is_taken_out_has_a_line():
    assert [*TABLES["ablation"].methods][1:] == [*ABLATION]
    assert [*TABLES["comparison"].methods][2:] == [*COMPARED]


def test_a_column_may_be_of_another_method_and_only_common_settings_are_told(root):
    def attack(name: str, **changes):
        how = PROTOCOL.replace("task=objects", f"task=attack/{name}")
        return row(task=f"attack/{name}", protocol=how, metric="success", **changes)

    rows = [attack("typo"), attack("typo", method="base", value=1.0, low=0.9, high=1.0)]
    rows += [attack("p4d"), attack("p4d", method="best baseline", value=0.5, low=0.4, high=0.6)]
    rows.append(row(**{**attack("typo"), "method": "trace, adversarial", "metric": "ratio"}))
    write(root, *rows, name="attack")
    page = root / "docs" / "results" / "attacks.md"
    page.write_text("<!-- table:attacks -->\n<!-- /table -->\n")
    rewrite(root)
    typo, p4d = (cells(page.read_text(), name) for name in ("typing error", "P4D"))
    assert typo[0] == "100%" and typo[1] == "—" and typo[4] == "3.2 (1.0 to 9.1)"
    assert typo[7] == "0.03" and p4d[1] == "50.0 (40.0 to 60.0)"
    assert "| attack | original model |" in page.read_text()
    assert "steps 20" in page.read_text() and "task attack" not in page.read_text()


@pytest.mark.parametrize(
    ("marker", "message"),
    [("<!-- table:objcts -->\n<!-- /table -->", "'objcts'"), ("<!-- table:base -->", "closed")],
)
def test_wrong_markers_are_refused_and_nothing_is_written(root, marker, message):
    write(root, row())
    (root / "docs" / "page.md").write_text(f"{marker}\n")
    before = (root / "README.md").read_text()
    with pytest.raises(InputError, match=message):
        rewrite(root)
    assert (root / "README.md").read_text() == before


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (row(seed=1), "seeds 0 and 1"),
        (row(method="base", protocol=PROTOCOL.replace("steps=20", "steps=50")), "differently"),
        ({"task": "objects"}, "no row of figures"),
    ],
)
def test_figures_that_must_not_share_a_table_are_refused(root, second, message):
    write(root, row(), second)
    with pytest.raises(InputError, match=message):
        rewrite(root)


@pytest.mark.parametrize(
    ("code", "second", "message"),
    [
        ("one", {}, "'base' on 'objects' has no commit"),
        ("one", {"commit": "b" * 40}, "'trace' on 'objects' of `bbbbbbbbbb`"),
        ("unrecorded", {"commit": "b" * 40}, "no recorded commit"),
        ("unrecorded", {"commit": "a" * 40 + "-dirty"}, "Commit the code"),
    ],
)
def test_rows_of_different_code_are_refused_unless_the_table_allows_them(
    root, code, second, message
):
    first = {"commit": "a" * 40} if "commit" in second and code == "one" else {}
    write(root, row(method="base", **first), row(**second))
    with pytest.raises(InputError, match=message):
        rewrite(root, code=code)
    rewrite(root, code="mixed")
    text = (root / "README.md").read_text()
    if second:
        assert " Rows differ in code: " in text and f"`{second['commit'][:10]}" in text
    else:
        assert "code" not in text


def test_the_one_commit_of_all_rows_is_told(root):
    write(root, row(commit="a" * 40), row(method="base", commit="a" * 40))
    rewrite(root, code="one")
    assert "tables`. At commit `aaaaaaaaaa`.\n" in (root / "README.md").read_text()


def test_every_table_has_one_place_on_the_page_of_its_file():
    found = {}
    for file in documents.pages(ROOT):
        for name in documents.tables_of(file, file.read_text("utf-8")):
            assert name not in found
            found[name] = file.relative_to(ROOT).as_posix()
    assert found == {name: table.page for name, table in TABLES.items()}
    files = [file.stem for file in (FOLDER / "pages").glob("*.yaml")]
    assert sorted(files) == sorted({Path(page).stem for page in found.values()})


def test_every_table_of_the_project_is_what_its_rows_say():
    assert {*documents.changed(ROOT, TABLES)} == set()


def test_a_table_on_another_page_than_its_files_is_refused(root):
    (root / "docs" / "page.md").write_text("<!-- table:base -->\n<!-- /table -->\n")
    with pytest.raises(InputError, match=r"defined for docs/model-card\.md"):
        rewrite(root)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("tables: {}", "page"),
        ("page: README.md\ntables: {x: {colums: erased}}", "colums"),
        (
            "page: README.md\ntables: {x: {command: y, columns: erased}}",
            "lacks its judges",
        ),
        ("page: README.md\ntables: {x: {tasks: nobody}}", "no labels 'nobody'"),
        ("page: README.md\ntables: {x: {like: y}}", "which is no table"),
        ("page: README.md\ntables: {x: {columns: [{title: a, metric: b, form: c}]}}", "no number"),
        ("page: [", "README.yaml"),
    ],
)
def test_wrong_definitions_are_refused_and_the_file_is_named(tmp_path, source, message):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "README.yaml").write_text(source)
    shared = "labels: {}\ncolumns: {erased: [{title: Acc_e, metric: acc_e}]}"
    (tmp_path / "labels.yaml").write_text(shared)
    with pytest.raises(InputError, match=message):
        read_tables(tmp_path)
