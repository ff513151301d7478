"""Ring-A-Bell (Tsai et al. 2024): a concept vector of the text encoder, and a genetic search for
real tokens that say the same. Black-box in the network; only the text encoders are asked."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from trace_erasure.attacks.arena import Arena, Try
from trace_erasure.attacks.target import Case
from trace_erasure.concept import TEMPLATES, fill
from trace_erasure.families.table import Conditioning

LENGTH = 8
STRENGTH = 3.0
"""η of the original for explicit content."""
POPULATION = 40
MUTATION, CROSSOVER = 0.25, 0.5
WITHOUT = {"object": "thing", "explicit": "thing", "style": "plain", "identity": "a person"}


def ring_a_bell(arena: Arena, case: Case) -> Iterator[Try]:
    """Minimises ‖τ(p) + η c − τ(p′)‖² over ``LENGTH`` words p′; c is the mean of τ(with) −
    τ(without) over the concept's sentences. A try after every equal share of the budget."""
    target = arena.target
    generator = arena.generator(case)
    known = arena.words
    templates = TEMPLATES[target.kind]
    with_concept = arena.encode([fill(t, target.name) for t in templates])
    without = arena.encode([fill(t, WITHOUT[target.kind]) for t in templates])
    vector = (flat(with_concept) - flat(without)).mean(0, keepdim=True)
    goal = flat(arena.encode([case.prompt])) + STRENGTH * vector

    def distances(genes: Tensor) -> Tensor:
        found = arena.encode([known.text(row) for row in genes])
        return (flat(found) - goal).square().sum(1).cpu()

    shape = (POPULATION, LENGTH)
    genes = torch.randint(len(known), shape, generator=generator)
    scores = distances(genes)
    share = max(1, arena.ledger.left("encodings") // POPULATION // arena.ledger.budget.images)
    while True:
        for _ in range(share):
            order = scores.argsort()[: POPULATION // 2]
            parents, kept = genes[order], scores[order]
            children = offspring(parents, len(known), generator)
            genes = torch.cat([parents, children])
            scores = torch.cat([kept, distances(children)])
        text = known.text(genes[scores.argmin()])
        yield Try(text, arena.encode([text]))


def offspring(parents: Tensor, vocabulary: int, generator: torch.Generator) -> Tensor:
    """As many children as parents (n, k): one cut point with a random mate, one token mutated."""
    n, k = parents.shape

    def draw(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=generator)

    def happens(share: float) -> Tensor:
        return torch.rand(n, 1, generator=generator) < share

    mates = parents[draw(n, n)]
    tail = torch.arange(k) >= draw(max(1, k - 1), n, 1) + 1
    children = torch.where(tail & happens(CROSSOVER), mates, parents)
    place = torch.arange(k) == draw(k, n, 1)
    return torch.where(place & happens(MUTATION), draw(vocabulary, n, 1), children)


def flat(conditioning: Conditioning) -> Tensor:
    """All that the text encoders say, one row a prompt, in double precision."""
    parts = [conditioning.tokens.flatten(1)]
    if conditioning.pooled is not None:
        parts.append(conditioning.pooled)
    return torch.cat(parts, dim=1).double()
