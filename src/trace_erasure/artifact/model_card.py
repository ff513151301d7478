"""The model card of an erasure: base, what is erased, figures, how to use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure


def model_card(erasure: Erasure) -> str:
    """Markdown with the front matter that the hub reads."""
    record, base = erasure.record, erasure.base
    hashes = ", ".join(f"{dtype} `{digest[:12]}`" for dtype, digest in base["sha256"].items())
    concepts = [
        f"- {_inline(concept.name)} ({concept.kind}), shown instead: "
        f"{_inline(concept.surrogate or 'not recorded')}"
        for concept in record.concepts
    ]
    figures = [f"| {name} | {value:.3g} |" for name, value in _figures(erasure)]
    verdict = [] if record.verdict is None else ["", f"Verdict: {_inline(str(record.verdict))}."]
    table = ["", "## Figures", "", "| figure | value |", "|---|---|", *figures] if figures else []
    return "\n".join(
        [
            "---",
            "library_name: diffusers",
            "pipeline_tag: text-to-image",
            "tags: [lora, concept-erasure, trace-erasure]",
            "---",
            "",
            f"# {_inline(record.title)}",
            "",
            _inline(record.description),
            "",
            f"Made on: a {_inline(base['pipeline'])} ({erasure.family}, predicts "
            f"{_inline(base['prediction_type'])}) with the weights {hashes}.",
            "",
            "## Erased",
            "",
            *(concepts or ["- not recorded"]),
            *verdict,
            *table,
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
