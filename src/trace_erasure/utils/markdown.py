"""Text from files as Markdown shows it: as it is, never as a link, a tag or a heading."""

from __future__ import annotations

import re

from trace_erasure.utils.terminal import printable

_SPECIAL = re.compile(r"([\\`*\[\]<>|])")


def escape_markdown(text: str, *, code: bool = False) -> str:
    r"""``text`` on one line, with everything escaped that Markdown would read.

    Args:
        code: what stands between backticks stays code.

    >>> print(escape_markdown("[x](javascript:y) <b>"))
    \[x\](javascript:y) \<b\>
    """
    line = " ".join(printable(text).split())
    if not code:
        return _SPECIAL.sub(r"\\\1", line)
    parts = line.split("`")
    if len(parts) % 2 == 0:  # a backtick without its pair
        return _SPECIAL.sub(r"\\\1", line)
    shown = [part if i % 2 else _SPECIAL.sub(r"\\\1", part) for i, part in enumerate(parts)]
    return "`".join(shown)


def code_span(text: str) -> str:
    """``text`` as code, whatever backticks it holds."""
    line = " ".join(printable(text).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line[:1] == "`" or line[-1:] == "`" else ""
    return f"{fence}{pad}{line}{pad}{fence}"
