"""Every figure in the running text of README and docs is a row's, or a constant with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import fisher_exact

from benchmarks.tables import prose
from benchmarks.tables.definitions import read_tables
from benchmarks.tables.documents import unfounded_figures
from benchmarks.tables.prose import Constant, Constants, unfounded
from trace_erasure.errors import InputError
from trace_erasure.math.statistics import wilson_interval

ROOT = Path(__file__).parents[1]
TABLES = read_tables()
PAGE = "docs/results/comparison.md"
MOST_UNRECORDED = 14
"""Pieces of text that were measured without a row. Lower it when one of them gets rows."""


def row(**changes: Any) -> dict[str, Any]:
    usual = dict(value=0.0316, low=0.01, high=0.0914, numerator=None, n=10)
    return {**usual, **changes}


def found(text: str, *rows: dict[str, Any], page: str = PAGE, **constants: Any) -> list[str]:
    """The unfounded numbers of ``text`` alone, with rows of the page's first task."""
    keyed = {
        ("emoji-sd", "compare-objects", str(i), "resnet", "mean", "h_o"): one
        for i, one in enumerate(rows)
    }
    known = Constants(**{
        "everywhere": [], "cites": {}, "whole": {}, "pages": {}, "unrecorded": {}, **constants,
    })  # fmt: skip
    return [one.split(" in ")[0] for one in unfounded(page, text, TABLES, keyed, known)]


def test_every_figure_of_readme_and_docs_is_a_row_s_or_a_constant():
    assert unfounded_figures(ROOT, TABLES) == []


def test_what_was_measured_without_a_row_only_becomes_less():
    listed = prose.read_constants().unrecorded
    assert sum(map(len, listed.values())) <= MOST_UNRECORDED


def test_numbers_are_found_as_rates_as_counts_and_as_they_are():
    assert found("It falls to 3.2 % (1.0 to 9.1).", row()) == []
    assert found("It falls to 3.3 %.", row()) == ["3.3"]
    assert found("3 of 170 are seen.", row(numerator=3, n=170)) == []
    assert found("4 of 170 are seen.", row(numerator=3, n=170)) == ["4"]
    assert found("It takes 1,234 MiB.", row(value=1234.4)) == []
    # A digit more than the row has is another claim.
    assert found("It falls to 3.20 %.", row()) == ["3.20"]


def test_rows_of_other_pages_found_nothing_here_unless_they_are_cited():
    other = {("emoji-sd", "cost", "trace", "none", "fox", "peak_mib"): row(value=584.0)}
    bare: Any = dict(everywhere=[], whole={}, pages={}, unrecorded={})
    text = "It needs 584 MiB."
    assert unfounded(PAGE, text, TABLES, other, Constants(cites={}, **bare))
    assert not unfounded(PAGE, text, TABLES, other, Constants(cites={PAGE: ["cost"]}, **bare))


def test_a_generated_table_code_and_links_are_no_running_text():
    table = "<!-- table:comparison -->\n| a | 97.5 |\n<!-- /table -->\n"
    assert found(f"{table}\nIt reaches 97.5 %.") == []
    assert found("See `--steps 345` and [this](page-345.md#678).\n\n```\n999\n```") == []
    assert found("1. Do it.\n2. Do it 77 times.") == ["77"]


def test_small_counts_need_no_row_but_on_pages_of_results():
    assert found("There are 3 of them, or 13.", page="docs/method/words.md") == ["13"]
    assert found("There are 3 of them.") == ["3"]


def test_a_constant_has_a_reason_and_must_still_be_in_the_text():
    entry = [Constant(text="of 77 tokens", reason="CLIP's limit")]
    assert found("A prompt of 77 tokens, not 78.", pages={PAGE: entry}) == ["78"]
    with pytest.raises(InputError, match=r"has no text 'of 77 tokens' any more"):
        found("A prompt.", pages={PAGE: entry})


def test_figures_that_are_computed_from_others_are_right():
    """Those that the file of constants says this file computes."""
    p = fisher_exact([[3, 167], [11, 159]]).pvalue  # type: ignore[attr-defined]
    assert f"{p:.3f}" == "0.052"
    assert f"{wilson_interval(0, 12)[1]:.0%}" == "24%"
    assert f"{wilson_interval(0, 112)[1]:.0%}" == "3%"
