"""A concept said without its name: strings of real words that text encoders take for it, found by a
search. An erasure that knows names alone leaves what these reach."""

from __future__ import annotations

import logging

import torch
from tqdm import tqdm

from trace_erasure.concepts.alignment import Columns, join, shifted_columns
from trace_erasure.concepts.concept import Concept, fill_template
from trace_erasure.concepts.prompt_search import search_generations, target_embedding
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.text_encoders import words

log = logging.getLogger("trace_erasure")

SENTENCES = 3
SEARCHES = 2
"""For each of the concept's first ``SENTENCES``."""
GENERATIONS = 50
EVERY, BEST = 5, 4
"""So many of the best are taken after so many generations."""


def echoes(denoiser: Denoiser, concept: Concept) -> dict[str, list[str]]:
    """Sentence with ``{x}`` to strings of words that say the same as it does of ``concept``.

    Nothing depends on the network, only text encoders are asked. Empty where the tokenizers share
    no words, and for a concept that is erased beside another thing only.
    """
    found: dict[str, list[str]] = {}
    if concept.only_with is not None:
        return found
    try:
        known = words(denoiser, (*concept.phrases, *concept.descriptions))
    except InputError as error:
        log.info("hardening does without a search for other words: %s", error)
        return found
    sentences = concept.sentences[:SENTENCES]
    turns = [(template, seed) for template in sentences for seed in range(SEARCHES)]
    for template, seed in tqdm(turns, desc="other words for it", leave=False, disable=None):
        prompt = fill_template(template, concept.phrase)
        goal = target_embedding(denoiser.encode, concept.phrase, concept.kind, prompt)
        generator = torch.Generator().manual_seed(seed)
        run = search_generations(known, goal, denoiser.encode, generator)
        texts = found.setdefault(template, [])
        for number in range(GENERATIONS + 1):
            genes, scores = next(run)
            if number and number % EVERY == 0:
                texts += [known.text(genes[i]) for i in scores.argsort()[:BEST]]
    return {template: list(dict.fromkeys(texts)) for template, texts in found.items()}


def echo_columns(
    denoiser: Denoiser, concept: Concept, found: dict[str, list[str]], stream: str
) -> tuple[Columns, ...]:
    """Columns of ``echoes``, to be moved as ``concept`` is to become its surrogate; at most one
    set, of all sentences."""
    assert concept.surrogate is not None
    parts = []
    for template, texts in found.items():
        own, instead = (
            fill_template(template, concept.phrase),
            fill_template(template, concept.surrogate),
        )
        columns = shifted_columns(denoiser, texts, own, instead, stream)
        parts.append(columns.select(columns.moved))
    return (join(parts),) if parts else ()
