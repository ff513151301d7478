"""Prompts to columns: a concept's token embeddings and the aligned ones of its surrogate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trace_erasure.concepts.concept import fill_template
from trace_erasure.concepts.shared_words import held_words
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.pipeline.families.family import TOKENS
from trace_erasure.pipeline.prompts import expand_prompt
from trace_erasure.utils.words import find_phrase

# A sentence has one BOS, EOS and a few words, but dozens of padding positions that all say the
# same; together they count as much as this many words.
PADDING_WEIGHT = 2.0
ROLES = ("before", "concept", "after", "eos", "padding", "pooled")


@dataclass(frozen=True)
class Span:
    """Where things stand in one tokenised prompt, as positions."""

    concept: list[int]
    eos: int
    length: int


@dataclass(frozen=True)
class Columns:
    """Aligned embeddings of concept prompts and surrogate prompts.

    Attributes:
        concept: (d, m) float64, C.
        surrogate: (d, m) float64, S; column j takes the place of column j of C.
        weights: (m,) importance of each column.
        roles: what stands at each position, one of ``ROLES``.
        prompt: (m,) index of the prompt that each column comes from.
    """

    concept: Tensor
    surrogate: Tensor
    weights: Tensor
    roles: tuple[str, ...]
    prompt: Tensor

    @property
    def moved(self) -> Tensor:
        """(m,) whether a column changes: positions before the concept do not."""
        difference = (self.surrogate - self.concept).norm(dim=0)
        return difference > 1e-6 * self.concept.norm(dim=0)

    def select(self, mask: Tensor) -> Columns:
        if mask.all():
            return self
        index = mask.nonzero()[:, 0]
        return Columns(
            self.concept[:, index],
            self.surrogate[:, index],
            self.weights[index],
            tuple(self.roles[i] for i in index.tolist()),
            self.prompt[index],
        )


def locate(tokenizer: Any, prompt: str, phrase: str, length: int, held: int = 0) -> Span:
    """Positions of every occurrence of ``phrase`` in ``prompt`` as whole words.

    By the tokenizer's offsets, in the prompt as the pipeline expands it (see ``expand_prompt``).

    ``length`` counts the positions of a prompt, padding included. The first ``held`` words of the
    phrase are left out, as if they stood before it. Raises ``InputError`` when the
    phrase is not in the prompt or was cut off.
    """
    text, phrase = expand_prompt(tokenizer, prompt), expand_prompt(tokenizer, phrase)
    offsets = tokenizer(text, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    spans = [(_after(text, start, held), end) for start, end in find_phrase(text, phrase)]
    concept = [
        i
        for i, (a, b) in enumerate(offsets)
        if b > a and any(a < end and b > begin for begin, end in spans)
    ]
    if not concept:
        raise InputError(f"{phrase!r} does not occur in the prompt {prompt!r}.")
    if len(offsets) > length:
        raise InputError(
            f"prompt of {len(offsets)} tokens is beyond this model's limit of {length}: "
            f"{prompt[:80]!r}."
        )
    return Span(concept, len(offsets) - 1, length)


def _after(text: str, start: int, words: int) -> int:
    """Where in ``text`` a word begins, so many words after the one at ``start``."""
    return start + [match.start() for match in re.finditer(r"\S+", text[start:])][words]


def align(p: Span, s: Span) -> list[tuple[int, int, str]]:
    """Pairs every position of a concept prompt with one of its surrogate prompt, one to one.

    Words pair with the same words, concept tokens with surrogate tokens in order, EOS with EOS,
    padding with padding; when the two phrases differ in length, the longer one's extra tokens pair
    with padding, and so do words that a neighbour's tokens have swallowed in one prompt only. A
    bijection: attention over text sums over positions and does not see their order, so equal
    columns under it mean an equal network output.
    """
    concept_p, concept_s = set(p.concept), set(s.concept)
    words_p = [i for i in range(p.eos) if i not in concept_p]
    words_s = [i for i in range(s.eos) if i not in concept_s]
    first = p.concept[0]
    both = zip(words_p, words_s, strict=False)
    pairs = [(i, j, "before" if i < first else "after") for i, j in both]
    pairs.append((p.eos, s.eos, "eos"))
    pairs += [(i, j, "concept") for i, j in zip(p.concept, s.concept, strict=False)]
    words, shared = min(len(words_p), len(words_s)), min(len(p.concept), len(s.concept))
    rest_p = [*words_p[words:], *p.concept[shared:], *range(p.eos + 1, p.length)]
    rest_s = [*words_s[words:], *s.concept[shared:], *range(s.eos + 1, s.length)]
    for i, j in zip(rest_p, rest_s, strict=True):
        pairs.append((i, j, "padding" if i > p.eos and j > s.eos else "concept"))
    return pairs


def align_in_place(p: Span, s: Span) -> list[tuple[int, int, str]]:
    """Pairs every position with itself, for networks that tell text positions apart.

    Where text carries position ids, attention weighs a key by where it stands, so that equal
    columns in another order are another prompt to it. Redirecting position j to position j is
    the one alignment under which equal columns mean an equal network output. Where the phrases
    differ in length, all words after them meet their neighbours.
    """
    concept = {*p.concept, *s.concept}
    first, (end, last) = min(concept), sorted((p.eos, s.eos))

    def role(i: int) -> str:
        if i < first:
            return "before"
        if i in concept:
            return "concept"
        if i > last:
            return "padding"
        return "eos" if i == end == last else "after"

    return [(i, i, role(i)) for i in range(p.length)]


def balance(parts: Sequence[Tensor]) -> list[float]:
    """Factors that bring the embeddings of every token segment to the size of the first's.

    CLIP's are many times longer than T5's, and would decide alone what an edit's directions are.
    """
    sizes = [float(part.square().mean().sqrt()) for part in parts]
    return [sizes[0] / size for size in sizes]


def concept_columns(
    denoiser: Denoiser,
    wordings: Sequence[tuple[str, str]],
    surrogate: str,
    stream: str = TOKENS,
    held: bool = False,
) -> Columns:
    """Aligned columns of ``wordings``, see ``Concept.wordings``, and of ``surrogate`` in them.

    Each token segment is aligned by its own tokenizer; a pooled vector is one column a prompt.
    With ``held``, ordinary words at the beginning of a phrase stand before the concept.
    """
    pair = align_in_place if denoiser.family.ordered else align
    asked = [(fill_template(template, phrase), phrase) for template, phrase in wordings]
    instead = [fill_template(template, surrogate) for template, _ in wordings]
    place = {text: k for k, text in enumerate(dict.fromkeys(instead))}
    own = denoiser.embeddings([text for text, _ in asked], stream)
    others = denoiser.embeddings(list(place), stream)
    concept, target, weights, roles, prompt = [], [], [], [], []
    segments = denoiser.segments(stream)
    for (tokenizer, length), c, s, size in zip(segments, own, others, balance(own), strict=True):
        spans = {} if tokenizer is None else _spans(tokenizer, place, surrogate, length)
        here, there = [], []
        for k, ((text, phrase), other) in enumerate(zip(asked, instead, strict=True)):
            if tokenizer is None:
                pairs = [(0, 0, "pooled")]
            else:
                before = len(held_words(phrase, surrogate)) if held else 0
                span = locate(tokenizer, text, phrase, length, before)
                pairs = pair(span, spans[other])
                if not denoiser.family.hears_padding:  # behind the prompt there is nothing to move
                    pairs = [one for one in pairs if one[0] <= span.eos]
            padding = sum(role == "padding" for _, _, role in pairs)
            here += [k * c.shape[1] + i for i, _, _ in pairs]
            there += [place[other] * s.shape[1] + j for _, j, _ in pairs]
            for _, _, role in pairs:
                share = PADDING_WEIGHT / padding if role == "padding" else 1.0
                weights.append(share * size**2)
                roles.append(role)
                prompt.append(k)
        concept.append(c.flatten(0, 1)[here])
        target.append(s.flatten(0, 1)[there])
    return Columns(
        torch.cat(concept).mT,
        torch.cat(target).mT,
        torch.tensor(weights, dtype=torch.float64),
        tuple(roles),
        torch.tensor(prompt),
    )


def shifted_columns(
    denoiser: Denoiser, prompts: Sequence[str], own: str, instead: str, stream: str = TOKENS
) -> Columns:
    """Columns of ``prompts`` that resemble ``own``, to be moved as it is to become ``instead``.

    Position by position: for prompts whose words pair with nothing. All have as many tokens.
    """
    found = denoiser.embeddings(prompts, stream)
    shifts = [
        other - this
        for this, other in zip(
            denoiser.embeddings([own], stream), denoiser.embeddings([instead], stream), strict=True
        )
    ]
    concept, target, weights, roles = [], [], [], []
    segments = denoiser.segments(stream)
    for (tokenizer, length), c, shift, size in zip(
        segments, found, shifts, balance(found), strict=True
    ):
        said = length if tokenizer is None else len(tokenizer(prompts[0]).input_ids)
        share = torch.ones(length, dtype=torch.float64)
        share[said:] = PADDING_WEIGHT / max(1, length - said)
        concept.append(c.flatten(0, 1))
        target.append((c + shift).flatten(0, 1))
        weights.append((share * size**2).repeat(len(c)))
        role = ["concept"] * said + ["padding"] * (length - said)
        roles += (["pooled"] if tokenizer is None else role) * len(c)
    counts = [len(part) // len(prompts) for part in concept]
    prompt = [torch.arange(len(prompts)).repeat_interleave(count) for count in counts]
    return Columns(
        torch.cat(concept).mT, torch.cat(target).mT, torch.cat(weights), tuple(roles),
        torch.cat(prompt),
    )  # fmt: skip


def _spans(tokenizer: Any, prompts: Iterable[str], phrase: str, length: int) -> dict[str, Span]:
    return {prompt: locate(tokenizer, prompt, phrase, length) for prompt in prompts}


def keep_columns(denoiser: Denoiser, prompts: Sequence[str], stream: str = TOKENS) -> Tensor:
    """All distinct embeddings of ``prompts`` in a stream, (d, n) float64, in balanced sizes."""
    return torch.unique(_kept(denoiser, prompts, stream).flatten(0, 1), dim=0).mT


def empty_columns(denoiser: Denoiser, stream: str = TOKENS) -> Tensor:
    """The columns that guidance subtracts: of the empty prompt, and of what a pipeline has in its
    place. Zeros, which no edit moves, are left out."""
    found = keep_columns(denoiser, [EMPTY], stream)
    if denoiser.family.unconditional is None:
        return found
    parts = denoiser.parts(denoiser.unconditional(), stream)
    others = torch.cat([part.flatten(0, 1) for part in parts])
    others = others[others.norm(dim=-1) > 0]
    return torch.unique(torch.cat([found.mT, others]), dim=0).mT


def keep_columns_each(
    denoiser: Denoiser, prompts: Sequence[str], stream: str = TOKENS
) -> dict[str, Tensor]:
    """``keep_columns`` of every prompt by itself."""
    if not prompts:
        return {}
    rows = _kept(denoiser, prompts, stream)
    return {text: torch.unique(own, dim=0).mT for text, own in zip(prompts, rows, strict=True)}


def _kept(denoiser: Denoiser, prompts: Sequence[str], stream: str) -> Tensor:
    """Embeddings in balanced sizes, (prompts, positions, d)."""
    parts = denoiser.embeddings(prompts, stream)
    sized = [part * size for part, size in zip(parts, balance(parts), strict=True)]
    return torch.cat(sized, dim=1)


def join(parts: Sequence[Columns]) -> Columns:
    """Several sets of columns as one; prompts are numbered on."""
    prompt, count = [], 0
    for part in parts:
        prompt.append(part.prompt + count)
        count += int(part.prompt.max()) + 1
    return Columns(
        torch.cat([part.concept for part in parts], dim=1),
        torch.cat([part.surrogate for part in parts], dim=1),
        torch.cat([part.weights for part in parts]),
        tuple(role for part in parts for role in part.roles),
        torch.cat(prompt),
    )
