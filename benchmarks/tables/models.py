"""Tables of the models and tools that are supported, from the rows of the package itself.

A table stands between ``<!-- rows:NAME -->`` and ``<!-- /rows -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from trace_erasure.artifact.original_names import ORIGINAL
from trace_erasure.artifact.tools import TOOLS
from trace_erasure.pipeline.families.family import TOKENS, Family
from trace_erasure.pipeline.families.registry import CHECKS, FAMILIES, REFUSED, verified

BLOCK = re.compile(r"^<!-- rows:(\S+) -->\n(.*?)^<!-- /rows -->$", re.MULTILINE | re.DOTALL)
HEARD = {
    "heard": "heard",
    "weighed": "heard less: as many tokens for an exact redirect",
    "zeros": "zeros: as many tokens for an exact redirect",
    "cut": "not heard: as many tokens for an exact redirect",
}


def _markdown(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _pattern(family: Family) -> str:
    """The layers that the token stream enters by, as a path with stars."""
    stream = family.stream(TOKENS)
    path = stream.maps.pattern.replace(r"\.", ".").replace(".*", "*").replace(r"\d+", "*")
    behind = f", behind `{stream.before}`" if stream.before else ""
    return f"`{path}`{behind}"


def families() -> str:
    """Every family: its pipelines, where text enters, and what is verified."""
    claims = verified()
    rows = []
    for family in FAMILIES:
        found = claims[family.name]
        rows.append((
            family.name,
            ", ".join(f"`{name}`" for name in family.pipelines),
            _pattern(family),
            "edited" if len(family.streams) > 1 else "none",
            HEARD[family.padding],
            "everything" if found == list(CHECKS) else ", ".join(found),
        ))  # fmt: skip
    heads = ("family", "pipelines", "tokens enter by", "pooled vector", "padding", "verified")
    return _markdown(heads, rows)


def tools() -> str:
    """For every family whether a tool reads its file; a dash is a merged checkpoint."""
    rows = [
        (
            family.name,
            *("yes" if family.name in tool.spelling else "–" for tool in TOOLS.values()),
            "yes" if family.name in ORIGINAL else "–",
        )
        for family in FAMILIES
    ]
    return _markdown(("family", *TOOLS, "single-file"), rows)


def checks() -> str:
    """What each check asserts."""
    return _markdown(("check", "holds where"), list(CHECKS.items()))


def refused() -> str:
    """Pipelines that no row describes."""
    return _markdown(("pipeline", "why not"), [(f"`{name}`", why) for name, why in REFUSED.items()])


ROWS: Mapping[str, Callable[[], str]] = {
    "families": families,
    "checks": checks,
    "refused": refused,
    "tools": tools,
}


def filled(text: str) -> str:
    """``text`` with every marked table as the package's rows have it."""
    return BLOCK.sub(
        lambda found: f"<!-- rows:{found[1]} -->\n{ROWS[found[1]]()}<!-- /rows -->", text
    )
