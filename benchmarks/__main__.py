"""``python -m benchmarks NAME``: measures something, and writes rows of figures."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.core.commit import commit
from benchmarks.core.engine import run_on_engine
from benchmarks.core.options import parser_of
from benchmarks.core.registry import BENCHMARKS
from trace_erasure.engines.registry import LOCAL
from trace_erasure.errors import InputError

USAGE = "usage: python -m benchmarks NAME [options]    (NAME --help: what it does, its options)"


def listing() -> str:
    """Every name with its line."""
    width = max(map(len, BENCHMARKS))
    lines = [f"  {name:{width}}  {one.summary}" for name, one in BENCHMARKS.items()]
    return "\n".join([USAGE, "", *lines])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one benchmark; the exit status is 2 for bad input, as of the command line."""
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments)] or [""]
    if name in ("", "-h", "--help"):
        print(listing())
        return 0 if name else 2
    if name not in BENCHMARKS:
        print(f"there is no benchmark {name!r}.\n\n{listing()}", file=sys.stderr)
        return 2
    options = parser_of(name, BENCHMARKS[name]).parse_args(rest)
    commit()  # now: the clone may change while the benchmark runs
    try:
        if getattr(options, "engine", LOCAL) == LOCAL:
            BENCHMARKS[name].run(options)
        else:
            run_on_engine(name, rest, options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
