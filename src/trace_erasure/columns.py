"""Prompts to columns: a concept's token embeddings and the aligned ones of its surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.concept import fill
from trace_erasure.denoiser import Denoiser
from trace_erasure.errors import InputError

# A sentence has one BOS, EOS and a few words, but dozens of padding positions that all say the
# same; together they count as much as this many words.
PADDING_WEIGHT = 2.0
ROLES = ("before", "concept", "after", "eos", "padding")


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
        index = mask.nonzero()[:, 0]
        return Columns(
            self.concept[:, index],
            self.surrogate[:, index],
            self.weights[index],
            tuple(self.roles[i] for i in index.tolist()),
            self.prompt[index],
        )


def locate(tokenizer: object, prompt: str, phrase: str) -> Span:
    """Positions of every occurrence of ``phrase`` in ``prompt``, by the tokenizer's offsets.

    Raises ``InputError`` when the phrase is not in the prompt or was cut off.
    """
    encoded = tokenizer(prompt, return_offsets_mapping=True, verbose=False)  # type: ignore[operator]
    offsets = encoded["offset_mapping"]
    text, wanted = prompt.lower(), phrase.lower()
    spans, start = [], text.find(wanted)
    while start >= 0:
        spans.append((start, start + len(wanted)))
        start = text.find(wanted, start + len(wanted))
    concept = [
        i
        for i, (a, b) in enumerate(offsets)
        if b > a and any(a < end and b > begin for begin, end in spans)
    ]
    if not concept:
        raise InputError(f"{phrase!r} does not occur in the prompt {prompt!r}.")
    limit = tokenizer.model_max_length  # type: ignore[attr-defined]
    if len(offsets) > limit:
        raise InputError(
            f"prompt of {len(offsets)} tokens is beyond this model's limit of {limit}: "
            f"{prompt[:80]!r}. Shorten it."
        )
    return Span(concept, len(offsets) - 1, limit)


def align(p: Span, s: Span) -> list[tuple[int, int, str]]:
    """Pairs every position of a concept prompt with one of its surrogate prompt, one to one.

    Words pair with the same words, concept tokens with surrogate tokens in order, EOS with EOS,
    padding with padding; when the two phrases differ in length, the longer one's extra tokens pair
    with padding. A bijection: attention over text sums over positions and does not see their order,
    so equal columns under it mean an equal network output.
    """
    concept_p, concept_s = set(p.concept), set(s.concept)
    words_p = [i for i in range(p.eos) if i not in concept_p]
    words_s = [i for i in range(s.eos) if i not in concept_s]
    first = p.concept[0]
    pairs = [
        (i, j, "before" if i < first else "after") for i, j in zip(words_p, words_s, strict=True)
    ]
    pairs.append((p.eos, s.eos, "eos"))
    pairs += [(i, j, "concept") for i, j in zip(p.concept, s.concept, strict=False)]
    shared = min(len(p.concept), len(s.concept))
    rest_p = [*p.concept[shared:], *range(p.eos + 1, p.length)]
    rest_s = [*s.concept[shared:], *range(s.eos + 1, s.length)]
    for i, j in zip(rest_p, rest_s, strict=True):
        pairs.append((i, j, "concept" if i in concept_p or j in concept_s else "padding"))
    return pairs


def concept_columns(
    denoiser: Denoiser, templates: Sequence[str], phrase: str, surrogate: str
) -> Columns:
    """Aligned columns of ``phrase`` and ``surrogate`` in every template."""
    tokenizer = denoiser.pipe.tokenizer
    with_concept = [fill(t, phrase) for t in templates]
    with_surrogate = [fill(t, surrogate) for t in templates]
    c = denoiser.encode(with_concept).tokens.double().cpu()
    s = denoiser.encode(with_surrogate).tokens.double().cpu()
    concept, target, weights, roles, prompt = [], [], [], [], []
    for k, (a, b) in enumerate(zip(with_concept, with_surrogate, strict=True)):
        pairs = align(locate(tokenizer, a, phrase), locate(tokenizer, b, surrogate))
        padding = sum(role == "padding" for _, _, role in pairs)
        for i, j, role in pairs:
            concept.append(c[k, i])
            target.append(s[k, j])
            weights.append(PADDING_WEIGHT / padding if role == "padding" else 1.0)
            roles.append(role)
            prompt.append(k)
    return Columns(
        torch.stack(concept, dim=1),
        torch.stack(target, dim=1),
        torch.tensor(weights, dtype=torch.float64),
        tuple(roles),
        torch.tensor(prompt),
    )


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
