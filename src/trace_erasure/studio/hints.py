"""Help while a concept is typed: how the word may go on, what it means, how it is spelt."""

from __future__ import annotations

from dataclasses import dataclass

from trace_erasure.concepts.inflections import singular
from trace_erasure.concepts.kinds import kind_of
from trace_erasure.concepts.lexicon import load_lexicon
from trace_erasure.concepts.spelling import suggestions
from trace_erasure.utils.words import fold

MOST = 6
FEW = 3
"""Words that are proposed where the word may be whole already."""
SHORTEST = 2
"""Letters before words are proposed."""


@dataclass(frozen=True)
class Hint:
    """What is known of a word that is being typed.

    Attributes:
        text: a sentence; empty where nothing is known.
        words: to put in its place, the likeliest first.
    """

    text: str = ""
    words: tuple[str, ...] = ()


def hint(typed: str) -> Hint:
    """What helps with ``typed``; asks no model.

    >>> hint("foxx").words[0]
    'fox'
    >>> hint("fox").text.split(";")[0]
    'object: alert carnivorous mammal with pointed muzzle and ears and a bushy tail'
    """
    word, lexicon = fold(typed), load_lexicon()
    if len(word) < SHORTEST:
        return Hint()
    onward = _completions(word)
    if lexicon.is_noun(word) and (len(word) > SHORTEST or not onward):
        kind = kind_of(typed.strip())
        gloss = lexicon.gloss(word)
        return Hint(f"{kind}: {gloss}" if gloss else kind, onward[:FEW])
    if one := singular(word):
        return Hint(f"Several of one kind: {one} is erased, one and many alike.", (one, *onward))
    if onward:
        return Hint("", onward)
    if near := suggestions(word)[:MOST]:
        return Hint("The lexicon does not have it. Did you mean one of these?", near)
    kind = kind_of(typed.strip())
    return Hint(f"{kind}. The lexicon does not have it: read the preview with care.")


def _completions(word: str) -> tuple[str, ...]:
    """Nouns that begin with ``word``, common ones first, then short ones."""
    lexicon = load_lexicon()
    found = [noun for noun in lexicon.nouns if noun.startswith(word) and noun != word]
    found.sort(key=lambda noun: (-lexicon.frequency(noun), len(noun), noun))
    return tuple(map(_as_written, found[:MOST]))


def _as_written(noun: str) -> str:
    """``noun`` with the capitals of its name: a proper one in full."""
    lexicon = load_lexicon()
    meaning = lexicon.synset(lexicon.senses(noun)[0])
    written = next((word for word in meaning.words if fold(word) == noun), noun)
    return written[:1].upper() + written[1:] if meaning.single else written
