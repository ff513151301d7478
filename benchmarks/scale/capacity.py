"""How many concepts one equality holds at a width, by arithmetic, and what random weights say.

    python -m benchmarks scale-capacity [--widths 96 768]

Each concept is one pair of random embeddings and one direction, beside 24 kept columns; none of
the directions depends on another's, so that these are the most that there can be. Rows: a task a
width; ``most``, the concepts that fit in 90 % of it, and the worst residual ‖M c − s‖ / ‖s − c‖
that the solve leaves with so many (``within``) and with twice as many (``beyond``).
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

import torch

from benchmarks.core.rows import replace_rows
from benchmarks.scale.shapes import RANDOM
from trace_erasure.config import MergeConfig
from trace_erasure.evaluation import Row
from trace_erasure.math.column_pairs import Pairs
from trace_erasure.math.joint_solve import MOST_CAPACITY, joint_equality

WIDTHS = (96, 768)
METHOD = "equality, one direction"


def worst_residual(width: int, keep: int, concepts: int) -> float:
    """Of one equality over ``concepts`` random pairs, in the plain metric."""
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> torch.Tensor:
        return torch.randn(width, count, generator=generator, dtype=torch.float64)

    eye, kept = torch.eye(width, dtype=torch.float64), draw(keep)
    c, s = draw(concepts), draw(concepts)
    pairs = [Pairs(c[:, i : i + 1], s[:, i : i + 1]) for i in range(concepts)]
    edit = joint_equality(pairs, kept, eye, eye, 1).edit
    return float(((edit.apply(c) - s).norm(dim=0) / (s - c).norm(dim=0)).max())


def rows_of(width: int) -> list[Row]:
    """The rows of one width."""
    keep = MergeConfig().keep
    most = int((MOST_CAPACITY * width - keep) / 2)
    fields: dict[str, Any] = dict(judge="none", numerator=None, n=most, seed=0, concept="all")
    fields |= dict(low=float("nan"), high=float("nan"), model=RANDOM, protocol=f"keep={keep}")
    found = {
        "most": float(most),
        "within": worst_residual(width, keep, most),
        "beyond": worst_residual(width, keep, 2 * most),
    }
    return [
        Row(task=str(width), method=METHOD, metric=metric, value=value, **fields)
        for metric, value in found.items()
    ]


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS)


def run(options: Namespace) -> None:
    for width in options.widths:
        found = rows_of(width)
        replace_rows(
            "scale-capacity", RANDOM, found, lambda row, of=str(width): row.task != of, options.out
        )
        for r in found:
            print(f"{r.task:6} {r.metric:8} {r.value:12.3g}", flush=True)
