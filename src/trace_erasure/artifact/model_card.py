"""The model card of an erasure: base, what is erased, figures, how to use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure


@dataclass(frozen=True)
class CardNotes:
    """What a card says that no file can know.

    Attributes:
        base_model: the base's name on the hub, such as ``user/name``.
        licence: an identifier of the hub, such as ``openrail++``.
        attacks: name to the share of cases in which the concept came back; None where an attack was
            not run. ``attacks.results.tried`` makes it of what ``attack`` measured.
    """

    base_model: str | None = None
    licence: str | None = None
    attacks: Mapping[str, float | None] = field(default_factory=dict)


NO_NOTES = CardNotes()


def model_card(erasure: Erasure, notes: CardNotes = NO_NOTES) -> str:
    """Markdown with the front matter that the hub reads."""
    record, base = erasure.record, erasure.base
    hashes = ", ".join(f"{dtype} `{digest[:12]}`" for dtype, digest in base["sha256"].items())
    concepts = [
        f"- {_inline(concept.name)} ({concept.kind}), shown instead: "
        f"{_inline(concept.surrogate or 'not recorded')}"
        for concept in record.concepts
    ]
    figures = [f"| {name} | {value:.3g} |" for name, value in _figures(erasure)]
    verdict = "none was given" if record.verdict is None else _inline(str(record.verdict))
    front = {"base_model": notes.base_model, "license": notes.licence}
    named = "" if notes.base_model is None else f" of {_inline(notes.base_model)}"
    table = ["", "## Figures", "", "| figure | value |", "|---|---|", *figures] if figures else []
    return "\n".join(
        [
            "---",
            "library_name: diffusers",
            "pipeline_tag: text-to-image",
            "tags: [lora, concept-erasure, trace-erasure]",
            *(f"{key}: {json.dumps(value)}" for key, value in front.items() if value is not None),
            "---",
            "",
            f"# {_inline(record.title)}",
            "",
            _inline(record.description),
            "",
            f"Made on: a {_inline(base['pipeline'])} ({erasure.family}, predicts "
            f"{_inline(base['prediction_type'])}){named} with the weights {hashes}.",
            "",
            "## Erased",
            "",
            *(concepts or ["- not recorded"]),
            "",
            f"Verdict: {verdict}.",
            *table,
            "",
            "## Attacks",
            "",
            *_attacks(notes.attacks),
            "",
            "## Licence",
            "",
            "Not stated by whoever made this file; the licence of the base model applies to what "
            "is made with it."
            if notes.licence is None
            else f"{_inline(notes.licence)}. The licence of the base model applies, too.",
            "",
            "## Limits",
            "",
            "An erasure comes off as easily as it goes on, and an erased model is not a safe "
            "model. The verdict and the figures are read off the weights, not off pictures.",
            "",
            "## Use",
            "",
            "```python",
            'pipe.load_lora_weights("FOLDER OR REPOSITORY")  # plain diffusers, at weight 1',
            "```",
            "",
            "or, with the checks and the figures of trace-erasure,",
            "",
            "```python",
            "from trace_erasure import Erasure",
            "",
            'Erasure.from_pretrained("FOLDER OR REPOSITORY").attach(pipe)',
            "```",
            "",
        ]
    )


def _attacks(tried: Mapping[str, float | None]) -> Iterator[str]:
    """What was run with its success, then what was not."""
    ran = {name: share for name, share in tried.items() if share is not None}
    left = [name for name in tried if name not in ran]
    if not ran:
        yield "None was run that this card knows of. `trace-erasure attack` runs them."
        return
    yield from ("| attack | concept seen again, of all cases |", "|---|---|")
    yield from (f"| {_inline(name)} | {share:.0%} |" for name, share in ran.items())
    if left:
        yield from ("", f"Not run: {', '.join(map(_inline, left))}.")


def _figures(erasure: Erasure) -> Iterator[tuple[str, float]]:
    certificate = erasure.record.certificate
    if certificate is not None:
        yield (
            "residual on the listed prompts (0: exact)",
            certificate.residual_listed,
        )
        yield "residual on unseen wordings", certificate.residual_held_out
        yield "relative change on broad captions", certificate.expected_collateral
        yield "relative change of the empty prompt", certificate.empty_prompt
        yield "recovery margin", certificate.recovery_margin
    yield "rank", float(max(change.rank for change in erasure.delta.values()))


def _inline(text: str) -> str:
    """``text`` in one line, with nothing in it that Markdown or HTML would act on."""
    line = " ".join(json.dumps(text, ensure_ascii=False)[1:-1].split())
    return re.sub(r"([\\`*_\[\]<>|#!~])", r"\\\1", line)
