"""What the width of a pooled vector leaves room for: the merge's own solve, on other widths of it.

    python -m benchmarks many-width

The pooled vector of emoji-flux has 128 numbers. The reweighted ridge of ``merge`` is solved for 10,
25 and 50 concepts on these, on the first 32 and 64 directions of them that ordinary captions use
most, and on the 320 of the pooled vector with the mean of T5's embeddings beside it, scaled to its
length. Nothing is drawn. Rows: a task a number of concepts, a method a width; ``residual``, what
the redirects miss of the way from concept to surrogate, mean over concepts, and ``kept``, the mean
change ‖(M − I) e‖ / ‖e‖ of the names that ``many`` keeps at 50, both in the plain metric.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from benchmarks.core.models import load_model
from benchmarks.core.rows import write_rows
from benchmarks.merging.prompts import MOST, SUBJECTS, WORDINGS, concepts_of, kept_of, named
from trace_erasure.concepts.candidates import common_name_prompts
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import Concept
from trace_erasure.evaluation import Row
from trace_erasure.math import linalg
from trace_erasure.math.closed_form import regularised
from trace_erasure.math.column_pairs import Pairs
from trace_erasure.math.edit_metrics import EditOutputs
from trace_erasure.math.weighted_ridge import Preserved, reweighted, ridge_edit
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.world import World, load_world, with_article

MODEL = "emoji-flux"
COUNTS = (10, 25, 50)
NARROW = (32, 64)
CAPTIONS = 500
RIDGE = 1e-3
SURROGATES = ("cat", "book", "house", "balloon", "crown", "key", "tree", "bell")
"""Of objects in turn; people become one who is kept, and styles the plain one."""
PERSON, PLAIN = "Nadia Haddad", "plain"


def vectors(denoiser: Denoiser, prompts: Sequence[str]) -> Tensor:
    """(d, n) the pooled vectors of ``prompts``, and below them the means of their tokens."""
    found = denoiser.encode(prompts)
    assert found.pooled is not None
    pooled, means = found.pooled.double(), found.tokens.double().mean(dim=1)
    size = pooled.norm(dim=1).mean() / means.norm(dim=1).mean()
    return torch.cat([pooled, means * size], dim=1).mT


def sentences(world: World, concept: Concept, number: int) -> tuple[list[str], list[str]]:
    """Of a concept, and the same of what takes its place."""
    key = "style" if concept.kind == "style" else "object"
    other = SURROGATES[number % len(SURROGATES)]
    instead = {"style": PLAIN, "identity": PERSON}.get(
        concept.kind, with_article(world.thing(other))
    )
    subject = with_article(world.thing(SUBJECTS[0]))
    texts = [
        [
            template.format(x=word, y=subject, a_x=f"a {word}")
            for template in WORDINGS["target"][key]
        ]
        for word in (named(world, concept), instead)
    ]
    return texts[0], texts[1]


def solved(pairs: Sequence[Pairs], rest: Preserved, ordinary: Tensor, kept: Tensor) -> list[float]:
    """What the redirects miss, and how much ``kept`` changes."""
    sigma = regularised(ordinary @ ordinary.mT / ordinary.shape[1], RIDGE)
    plain = torch.eye(len(sigma), dtype=sigma.dtype)
    outputs = EditOutputs(
        ridge_edit(*reweighted([[one] for one in pairs], rest, sigma, plain)), plain
    )
    missed = [outputs.redirect(one.concept, one.surrogate).residual for one in pairs]
    return [sum(missed) / len(missed), float(outputs.collateral(kept).mean())]


def _onto(directions: Tensor, width: int) -> Tensor:
    """(k, width) coordinates along ``directions``, (d, k), of the first d of ``width`` numbers."""
    return pad(directions.mT, (0, width - len(directions)))


def rows_of(denoiser: Denoiser, world: World) -> list[Row]:
    """The rows of every count and width."""
    captions = captions_for(denoiser)
    ordinary = vectors(denoiser, captions[:: max(1, len(captions) // CAPTIONS)])
    everything = concepts_of(world)[:MOST]
    kept = vectors(denoiser, [prompt for prompt, _, _ in kept_of(world, everything)])
    both = [sentences(world, concept, i) for i, concept in enumerate(everything)]
    own, instead = (
        [vectors(denoiser, texts) for texts in side] for side in zip(*both, strict=True)
    )
    empty = vectors(denoiser, [EMPTY])
    width = len(ordinary) - denoiser.encode([EMPTY]).tokens.shape[-1]
    leading = linalg.eigh(ordinary[:width] @ ordinary[:width].mT)[1].flip(1)
    views: dict[str, Callable[[Tensor], Tensor]] = {
        **{str(k): partial(torch.matmul, _onto(leading[:, :k], len(ordinary))) for k in NARROW},
        str(width): itemgetter(slice(width)),
        str(len(ordinary)): torch.clone,
    }
    rows: list[Row] = []
    for count in COUNTS:
        names = vectors(denoiser, common_name_prompts(captions, everything[:count]))
        for method, view in views.items():
            pairs = [
                Pairs(view(c), view(s)).scaled(1 / c.shape[1])
                for c, s in zip(own[:count], instead[:count], strict=True)
            ]
            rest = Preserved([view(empty)], [], [*view(names).split(1, dim=1)])
            found = solved(pairs, rest, view(ordinary), view(kept))
            fields: dict[str, Any] = dict(judge="none", numerator=None, n=count, seed=0)
            fields |= dict(low=float("nan"), high=float("nan"), model=MODEL, concept="mean")
            fields |= dict(protocol=f"captions={ordinary.shape[1]}", method=method)
            for metric, value in zip(("residual", "kept"), found, strict=True):
                rows.append(Row(task=f"width, {count}", metric=metric, value=value, **fields))
    return rows


def run(options: Namespace) -> None:
    rows = rows_of(Denoiser(load_model(MODEL)), load_world())
    write_rows("many-width", MODEL, rows, options.out)
    for r in rows:
        print(f"{r.task:10} {r.method:4} {r.metric:9} {r.value:6.3f}")
