"""Ring-A-Bell (Tsai et al. 2024): real words whose text embedding has the concept's direction.
Black-box in the network; only the text encoders are asked."""

from __future__ import annotations

from collections.abc import Iterator

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.concepts.prompt_search import LENGTH as LENGTH
from trace_erasure.concepts.prompt_search import POPULATION, search_generations, target_embedding


def ring_a_bell(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """The best words of a genetic search, see ``unnamed``, after every equal share of the
    budget."""
    target, known = context.target, context.vocabulary
    generator = context.generator(case)
    goal = target_embedding(context.encode, target.name, target.kind, case.prompt)
    found = search_generations(known, goal, context.encode, generator)
    genes, scores = next(found)
    share = max(1, context.tracker.left("encodings") // POPULATION // context.tracker.budget.images)
    while True:
        for _ in range(share):
            genes, scores = next(found)
        text = known.text(genes[scores.argmin()])
        yield Attempt(text, context.encode([text]))
