"""Greedy coordinate search in the manner of MMA-Diffusion (Yang et al. 2024) and GCG (Zou et al.
2023): words whose text embedding points where the concept's does. Only text encoders are asked."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional as F

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.pipeline.text_encoders import encode_soft, encoders, feature

LENGTH = 8
BEST = 64
CANDIDATES = 32


def greedy_coordinate(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """Maximises the cosine between the embedding of ``LENGTH`` words and the case's prompt's. Each
    round takes the best of ``CANDIDATES`` substitutions among the ``BEST`` by gradient."""
    generator = context.generator(case)
    known = context.vocabulary
    tables = known.tables(encoders(context.denoiser))
    goal = feature(context.encode([case.prompt]))
    index = torch.randint(len(known), (LENGTH,), generator=generator)
    cost = CANDIDATES + 1
    share = max(1, context.tracker.left("encodings") // cost // context.tracker.budget.images)
    best, text = -2.0, known.text(index)
    while True:
        for _ in range(share):
            context.tracker.spend("encodings")
            one_hot = F.one_hot(index, len(known)).float().requires_grad_(True)
            soft = [one_hot.to(table) @ table for table in tables]
            found = feature(encode_soft(context.denoiser, soft))
            likeness = F.cosine_similarity(found, goal).sum()
            (gradient,) = torch.autograd.grad(likeness, one_hot)
            top = gradient.topk(min(BEST, len(known)), dim=1).indices
            rows = index.repeat(CANDIDATES, 1)
            place = torch.arange(CANDIDATES) % LENGTH  # spread evenly over the positions
            choice = torch.randint(top.shape[1], (CANDIDATES,), generator=generator)
            rows[torch.arange(CANDIDATES), place] = top[place, choice]
            scores = F.cosine_similarity(
                feature(context.encode([known.text(row) for row in rows])), goal
            )
            index = rows[scores.argmax()]
            if float(scores.max()) > best:
                best, text = float(scores.max()), known.text(index)
        yield Attempt(text, context.encode([text]))
