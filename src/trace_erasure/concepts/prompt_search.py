"""Words that say a concept to the text encoders without its name, as in Ring-A-Bell (Tsai et al.
2024): a concept vector of the encoders, and a genetic search for real tokens that say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from trace_erasure.concepts.concept import fill_template
from trace_erasure.concepts.templates import TEMPLATES
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.text_encoders import Words

LENGTH = 8
STRENGTH = 3.0
"""η of the original for explicit content."""
POPULATION = 40
MUTATION, CROSSOVER = 0.25, 0.5
NEUTRAL_PHRASES = {"object": "thing", "explicit": "thing", "style": "plain", "identity": "a person"}

Encode = Callable[[Sequence[str]], Conditioning]


def target_embedding(encode: Encode, name: str, kind: str, prompt: str) -> Tensor:
    """τ(p) + η c, (1, n): c is the mean of τ(with) − τ(without) over the kind's sentences."""
    templates = TEMPLATES[kind]
    with_concept = encode([fill_template(t, name) for t in templates])
    without = encode([fill_template(t, NEUTRAL_PHRASES[kind]) for t in templates])
    vector = (flatten_conditioning(with_concept) - flatten_conditioning(without)).mean(
        0, keepdim=True
    )
    return flatten_conditioning(encode([prompt])) + STRENGTH * vector


def search_generations(
    known: Words, goal: Tensor, encode: Encode, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Minimises ‖goal − τ(p′)‖² over ``LENGTH`` words p′: indices of words, (``POPULATION``,
    ``LENGTH``), and their distances, generation by generation without end."""

    def distances(genes: Tensor) -> Tensor:
        found = encode([known.text(row) for row in genes])
        return (flatten_conditioning(found) - goal).square().sum(1).cpu()

    shape = (POPULATION, LENGTH)
    genes = torch.randint(len(known), shape, generator=generator)
    scores = distances(genes)
    while True:
        yield genes, scores
        order = scores.argsort()[: POPULATION // 2]
        parents, kept = genes[order], scores[order]
        children = offspring(parents, len(known), generator)
        genes = torch.cat([parents, children])
        scores = torch.cat([kept, distances(children)])


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


def flatten_conditioning(conditioning: Conditioning) -> Tensor:
    """All that the text encoders say, one row a prompt, in double precision."""
    parts = [conditioning.tokens.flatten(1)]
    if conditioning.pooled is not None:
        parts.append(conditioning.pooled)
    return torch.cat(parts, dim=1).double()
