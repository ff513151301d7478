"""Verdicts on disk: Parquet files in a folder, one for each run or shard of a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from trace_erasure import __version__
from trace_erasure.errors import InputError
from trace_erasure.evaluation.runs.records import Verdict, from_json, read_jsonl, to_json
from trace_erasure.evaluation.tasks.task import JudgingProtocol
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.folders import make_folder
from trace_erasure.utils.sharding import Shard

MOST = 1_000_000
"""Verdicts of a file."""


def write_verdicts(path: str | os.PathLike[str], verdicts: Iterable[Verdict]) -> Path:
    """Replaces a Parquet file, one line a verdict; all of them or nothing is written."""
    import pyarrow
    import pyarrow.parquet

    path = Path(path)
    make_folder(path.parent)
    lines = [to_json(verdict) for verdict in verdicts]
    table = pyarrow.Table.from_pylist(lines, _schema()).replace_schema_metadata(
        {"trace-erasure": __version__}
    )
    with atomic(path) as partial:
        pyarrow.parquet.write_table(table, partial, compression="zstd", write_page_checksum=True)
    return path


def read_verdicts(path: str | os.PathLike[str]) -> list[Verdict]:
    """The verdicts of one ``.parquet`` or ``.jsonl`` file.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    import pyarrow
    import pyarrow.parquet

    path = Path(path)
    if path.suffix == ".jsonl":
        return read_jsonl(path, Verdict)
    if not path.is_file():
        raise InputError(f"no file at {path}. Run the evaluation first, or correct the path.")
    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            if file.metadata.num_rows > MOST:
                raise InputError(f"{path} has more than {MOST:,} verdicts. Divide the file.")
            if file.schema_arrow.remove_metadata() != _schema():
                raise InputError(f"{path} holds no verdicts. Make it again with this version.")
            lines = file.read().to_pylist()
    except InputError:
        raise
    except Exception as error:  # pyarrow raises whatever it stumbles over
        raise InputError(
            f"{path} cannot be read ({error}). Delete it and run the evaluation again."
        ) from error
    return [from_json(Verdict, line, str(path)) for line in lines]


@dataclass(frozen=True)
class VerdictFolder:
    """The verdict files of an evaluation, named by what was judged.

    Shards write a file each, so that processes never write to the same one.
    """

    folder: Path

    def path(self, *name: str, shard: Shard = (0, 1)) -> Path:
        """The file called ``name``, for example task, method, seed and protocol hash."""
        stem = "-".join(name).replace(" ", "_").replace("/", "_")
        part = "" if shard[1] == 1 else f".{shard[0]}-of-{shard[1]}"
        return self.folder / f"{stem}{part}.parquet"

    def read(self) -> list[Verdict]:
        """All verdicts, each once, even where a run was made whole and in shards.

        Raises:
            InputError: there are none, or a file cannot be read.
        """
        files = sorted([*self.folder.glob("*.parquet"), *self.folder.glob("*.jsonl")])
        found = dict.fromkeys(verdict for file in files for verdict in read_verdicts(file))
        if not found:
            raise InputError(
                f"no verdicts in {self.folder}. Run `trace-erasure evaluate --out` first, or "
                "correct the folder."
            )
        return list(found)


def check_same_protocol(verdicts: Sequence[Verdict]) -> None:
    """Raises ``InputError`` where one concept of a task was measured in two ways, naming how."""
    first: dict[tuple[str, str, str], Verdict] = {}
    for verdict in verdicts:
        other = first.setdefault((verdict.model, verdict.task, verdict.concept), verdict)
        if other.protocol == verdict.protocol:
            continue
        differs = JudgingProtocol.parse(other.protocol).differences(
            JudgingProtocol.parse(verdict.protocol)
        )
        field, (there, here) = next(iter(differs.items()))
        raise InputError(
            f"task {verdict.task!r}, {verdict.concept}: {other.method} and {verdict.method} were "
            f"measured differently, {field} {there} against {here}. Evaluate both in the same "
            "way, or into two folders."
        )


def _schema() -> Any:
    """The columns of a file, from the fields of ``Verdict``: empty ones keep their type, too."""
    import pyarrow

    kinds = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
    }
    fields = []
    for name, hint in get_type_hints(Verdict).items():
        options = [one for one in get_args(hint) if one not in (NoneType, Ellipsis)] or [hint]
        kind = kinds[options[0]]
        many = getattr(hint, "__origin__", None) is tuple
        fields.append(pyarrow.field(name, pyarrow.list_(kind) if many else kind))
    return pyarrow.schema(fields)
