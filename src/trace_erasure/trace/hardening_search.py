"""Hardening by prompt search: prompts of other words whose embeddings are close to the concept's.

An edit of the concept's own prompts alone leaves such prompts as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch

from trace_erasure.concepts.alignment import Columns, join, shifted_columns
from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.concepts.prompt_search import search_generations, target_embedding
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.text_encoders import words
from trace_erasure.utils.progress import progress

log = logging.getLogger("trace_erasure")

TEMPLATES = 3
"""Templates of the concept that are searched for, its first ones."""
SEARCHES = 2
"""Searches for each template."""
GENERATIONS = 50
"""Generations of a search."""
TAKE_EVERY, TAKE_BEST = 5, 4
"""After every fifth generation its four best prompts are taken."""


def search_prompts(denoiser: Denoiser, concept: ResolvedConcept) -> dict[str, list[str]]:
    """Template to prompts whose embeddings are close to its embedding with ``concept`` filled in.

    Only text encoders are run. Empty where the tokenizers share no words, and for a concept that
    is erased beside another thing only.
    """
    found: dict[str, list[str]] = {}
    if concept.only_with is not None:
        return found
    try:
        vocabulary = words(denoiser, (*concept.phrases, *concept.descriptions))
    except InputError as error:
        log.info("hardening runs without a prompt search: %s", error)
        return found
    templates = concept.sentences[:TEMPLATES]
    turns = [(template, seed) for template in templates for seed in range(SEARCHES)]
    for template, seed in progress(turns, desc="prompt search"):
        prompt = fill_template(template, concept.phrase)
        goal = target_embedding(denoiser.encode, concept.phrase, concept.kind, prompt)
        generator = torch.Generator().manual_seed(seed)
        search = search_generations(vocabulary, goal, denoiser.encode, generator)
        texts = found.setdefault(template, [])
        for number in range(GENERATIONS + 1):
            genes, scores = next(search)
            if number and number % TAKE_EVERY == 0:
                texts += [vocabulary.text(genes[i]) for i in scores.argsort()[:TAKE_BEST]]
    return {template: list(dict.fromkeys(texts)) for template, texts in found.items()}


def searched_columns(
    denoiser: Denoiser, concept: ResolvedConcept, prompts: Mapping[str, list[str]], stream: str
) -> tuple[Columns, ...]:
    """Columns of ``search_prompts``, redirected by the difference of surrogate and concept.

    One set of columns for all templates, or none.
    """
    parts = []
    for template, texts in prompts.items():
        own = fill_template(template, concept.phrase)
        instead = fill_template(template, concept.surrogate)
        columns = shifted_columns(denoiser, texts, own, instead, stream)
        parts.append(columns.select(columns.moved))
    return (join(parts),) if parts else ()
