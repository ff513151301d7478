"""What a table shows, and the YAML that defines it: ``labels.yaml`` and one file a page.

A page's file names the page and its tables. ``tasks``, ``methods`` and ``judges`` are mappings of
names in rows to labels, names of mappings in ``labels.yaml``, or lists of both; ``columns`` are the
same of columns. ``like`` names another table, whose fields are the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, field_validator

from benchmarks.core.models import MODEL

Code: TypeAlias = Literal["one", "mixed", "unrecorded"]
"""Which rows may share a table. ``one``: rows of one commit, made by unchanged code.
``unrecorded``: the same, or only rows from before rows carried their commit. ``mixed``: rows of
several commits or of changed code; the table then lists the commits."""


class Strict(BaseModel):
    """A part of the YAML; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Strict):
    """A metric, over the mean of a task's concepts or for one of them.

    Attributes:
        form: shows the value, as ``str.format`` does; None: in per cent, with its interval.
        judge, method: others than the line's.
    """

    title: str
    metric: str
    concept: str = "mean"
    form: str | None = None
    judge: str | None = None
    method: str | None = None

    @field_validator("form")
    @classmethod
    def formats(cls, form: str | None) -> str | None:
        if form is not None and form.format(0.5) == form:
            raise ValueError(f"{form!r} shows no number")
        return form


Labels: TypeAlias = dict[str, str]
LabelsSource: TypeAlias = str | Labels | list[str | Labels]
ColumnsSource: TypeAlias = str | list[str | Column]


class TableSource(Strict):
    """One table as a page's file has it."""

    like: str | None = None
    model: str | None = None
    command: str | None = None
    note: str | None = None
    heading: str | None = None
    sparse: bool | None = None
    code: Code | None = None
    tasks: LabelsSource | None = None
    methods: LabelsSource | None = None
    judges: LabelsSource | None = None
    columns: ColumnsSource | None = None


class Page(Strict):
    """One file of ``pages/``; ``code`` is the default of its tables."""

    page: str
    code: Code = "one"
    tables: dict[str, TableSource]


class Shared(Strict):
    """``labels.yaml``."""

    labels: dict[str, Labels]
    columns: dict[str, list[Column]]


@dataclass(frozen=True)
class Table:
    """What a table shows; ``tasks``, ``methods`` and ``judges`` map names in rows to labels.

    There is one line for each combination of them, and one cell for each column.

    Attributes:
        command: makes the rows.
        page: where the table stands, from the root of the clone.
        note: what the figures are; None: rates of pictures.
        heading: of the tasks.
        sparse: lines without any figure are left out, and the whole table if it has none.
        code: which rows may share it.
    """

    tasks: Mapping[str, str]
    methods: Mapping[str, str]
    judges: Mapping[str, str]
    columns: Sequence[Column]
    command: str
    page: str = "README.md"
    model: str = MODEL
    note: str | None = None
    heading: str = "concepts"
    sparse: bool = False
    code: Code = "one"
