"""Ordinary words in a concept's name: erasing *red car* leaves red, and other cars, as they are."""

from __future__ import annotations

from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.concepts.kinds import listed_as
from trace_erasure.concepts.lexicon import load_lexicon
from trace_erasure.utils.words import fold, words_in

NOUNS = ("apple", "house", "dog", "tree", "book", "cat", "boat", "flower", "bird", "fish")
"""What the words are held with; those in the names themselves are left out."""
HELD_WITH = 8
MODIFIERS = ("red", "blue", "big")
"""What a noun that the surrogate has, too, is held with."""


def held_words(phrase: str, surrogate: str) -> tuple[str, ...]:
    """The words at the beginning of ``phrase`` that are not its own, never its last one.

    Adjectives, colours, sizes and numbers, and words of the surrogate.

    >>> held_words("red car", "car"), held_words("fox", "dog"), held_words("big red car", "bus")
    (('red',), (), ('big', 'red'))
    """
    *before, _ = phrase.split(" ")
    own, found = set(words_in(surrogate)), []
    for word in before:
        if fold(word) not in own and load_lexicon().modifier(word) is None:
            break
        found.append(word)
    return tuple(found)


def shared_prompts(concept: ResolvedConcept) -> list[str]:
    """Sentences of ``concept`` with its ordinary words beside other nouns, and with the surrogate
    where the two have their last word in common. Empty for most names."""
    if listed_as(concept.kind) != "object":
        return []
    named = {word for text in (*concept.phrases, concept.surrogate) for word in words_in(text)}
    nouns = [noun for noun in NOUNS if noun not in named][:HELD_WITH]
    said: dict[str, None] = {}
    for phrase in concept.phrases:
        held = held_words(phrase, concept.surrogate)
        runs = dict.fromkeys((" ".join(held), *held)) if held else {}
        said.update(dict.fromkeys(f"{run} {noun}" for run in runs for noun in nouns))
        if " " in phrase and fold(phrase.split(" ")[-1]) in words_in(concept.surrogate):
            others = [word for word in MODIFIERS if word not in named]
            said.update(dict.fromkeys(f"{word} {concept.surrogate}" for word in others))
            said[concept.surrogate] = None
    return [fill_template(t, text) for t in concept.sentences for text in said]
