"""Ring-A-Bell (Tsai et al. 2024): real words whose text embedding has the concept's direction.
Black-box in the network; only the text encoders are asked."""

from __future__ import annotations

from collections.abc import Iterator

from trace_erasure.attacks.context import Arena, Try
from trace_erasure.attacks.target import Case
from trace_erasure.concepts.prompt_search import POPULATION, search_generations, target_embedding


def ring_a_bell(arena: Arena, case: Case) -> Iterator[Try]:
    """The best words of a genetic search, see ``unnamed``, after every equal share of the
    budget."""
    target, known = arena.target, arena.words
    generator = arena.generator(case)
    goal = target_embedding(arena.encode, target.name, target.kind, case.prompt)
    found = search_generations(known, goal, arena.encode, generator)
    genes, scores = next(found)
    share = max(1, arena.ledger.left("encodings") // POPULATION // arena.ledger.budget.images)
    while True:
        for _ in range(share):
            genes, scores = next(found)
        text = known.text(genes[scores.argmin()])
        yield Try(text, arena.encode([text]))
