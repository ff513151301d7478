"""What the studio says, as HTML: previews, verdicts, progress, mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.verdict import ErasureVerdict
from trace_erasure.concepts.masking import masked
from trace_erasure.evaluation.report.grids import Card, Grid, Picture
from trace_erasure.evaluation.report.html import escape, fragment
from trace_erasure.evaluation.report.tables import Table
from trace_erasure.guarantees.oracle_forecast import OracleForecast
from trace_erasure.guarantees.preview import Preview
from trace_erasure.math.verdict import FAILED, GOOD, WEAK, Word
from trace_erasure.studio.hints import Hint
from trace_erasure.studio.job import Step
from trace_erasure.studio.session import Grids
from trace_erasure.studio.trial import Trial

VERDICTS: dict[Word, str] = {
    GOOD: "Good: by its figures the concept goes, and the rest stays.",
    WEAK: "Weak: it erases, and something stands against it.",
    FAILED: "Failed: do not use it as it is.",
}
NO_VERDICT = "No verdict: nobody has calibrated one for these settings. Look at the pictures."
BY_FIGURES = (
    "The verdict is read off the erasure's own figures. Look at the pictures, and try an attack."
)
ORACLE_PICTURES = 4
"""Of a window that are shown."""
SAID = 3
"""Lines of a job's log that are shown."""


def hint_html(found: Hint) -> str:
    """The sentence of a hint."""
    return f'<p class="soft">{escape(found.text)}</p>' if found.text else ""


def preview_html(found: Preview) -> str:
    """What goes along, what will suffer, and how good it promises to be."""
    return _plan(found) + verdict_html(found.verdict)


def folded_preview_html(found: Preview) -> str:
    """What went along, to open with a click."""
    return f"<details><summary>What was previewed</summary>{_plan(found)}</details>"


def _plan(found: Preview) -> str:
    concepts = found.concepts
    parts = []
    for concept in concepts:
        along = (*concept.synonyms, *concept.descriptions)
        if concept.sensitive:
            words = f"{len(along)} words more" if along else "nothing else"
        else:
            words = ", ".join(along) or "nothing else"
        parts.append(
            f"<p><b>{escape(concept.name)}</b> becomes <b>{escape(concept.surrogate)}</b>."
            f" Goes along: {escape(words)}.</p>"
        )
    kept = [masked(text, concepts) for text in _without_shared_start(found.retain)]
    parts.append(f"<p>Held: {escape(', '.join(kept) or 'nothing named')}.</p>")
    if found.changed:
        bars = "".join(_bar(masked(name, concepts), change) for name, change in found.changed)
        parts.append(
            f'<p>Will change most, of what is not erased:</p><div class="bars">{bars}</div>'
        )
    return "".join(parts)


def verdict_html(verdict: ErasureVerdict | None) -> str:
    """The verdict in words, why, and what to do next."""
    if verdict is None:
        return f'<div class="verdict-box"><p>{NO_VERDICT}</p></div>'
    why = "".join(f"<li>{escape(text)}</li>" for text in verdict.why)
    next_ = "".join(f"<li><b>{escape(text)}</b></li>" for text in verdict.advice)
    return (
        f'<div class="verdict-box {verdict.word}"><p><b>{escape(VERDICTS[verdict.word])}</b></p>'
        f'<ul>{why}{next_}</ul><p class="soft">{BY_FIGURES}</p></div>'
    )


def result_html(erasure: Erasure, seconds: float) -> str:
    """What was made."""
    title = f"<p><b>{escape(erasure.record.title)}</b>, in {seconds:.0f} s.</p>"
    return title + verdict_html(erasure.verdict)


def grids_html(found: Grids) -> tuple[str, str]:
    """Both grids."""
    return fragment(found.concept), fragment(found.neighbours)


def grid_html(found: Grid) -> str:
    """One grid."""
    return fragment(found)


def trial_html(found: Trial) -> str:
    """The tries of an attack, and how many brought the concept back."""
    count = len(found.grid.cards)
    if found.recognised is None:
        said = f"{count} tries. Nobody judges this model's pictures: look at them."
    else:
        said = f"A classifier recognises the concept in {found.recognised} of {count} tries."
    return f"<p><b>{said}</b></p>{fragment(found.grid)}"


def tables_html(tables: Sequence[Table]) -> str:
    """Tables with their titles."""
    return "".join(
        f"<h3>{escape(table.title)}</h3>{fragment(table)}" if table.rows
        else f'<p class="soft">{escape(table.title)}: none.</p>'
        for table in tables
    )  # fmt: skip


def progress_html(step: Step) -> str:
    """A bar, what is being done, how long it will take, and the last lines of the log."""
    share = "" if not step.total else f' value="{step.done}" max="{step.total}"'
    count = f" {step.done} of {step.total}" if step.total else ""
    left = "" if step.left is None else f" · about {duration(step.left)} left"
    said = "".join(f"<li>{escape(line)}</li>" for line in step.said[-SAID:])
    return (
        f"<p>{escape(step.what)}{count} · {duration(step.seconds)}{left}</p>"
        f'<progress{share}></progress><ul class="soft">{said}</ul>'
    )


def duration(seconds: float) -> str:
    """Seconds, or minutes where there are many.

    >>> duration(12.4), duration(200)
    ('12 s', '3 min')
    """
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def oracle_html(found: OracleForecast, hidden: bool) -> str:
    """What perfect steering leaves, a card a window of noise levels."""
    if not found.tells:
        said = "The model does not tell pictures with it from those without: look at them."
    elif found.smallest is None:
        said = "Even perfect steering leaves some of it in every window."
    else:
        said = f"The smallest window that leaves nothing: noise level {found.smallest:.2f}."
    cards = []
    for window in found.windows:
        up_to = f"up to {window.noise_level:.2f}" if window.noise_level else "not steered"
        left = f"{window.left:.0%} still show it" if found.tells else ""
        pictures = tuple(Picture(picture) for picture in window.pictures[:ORACLE_PICTURES])
        cards.append(Card(pictures, up_to, left))
    grid = Grid("windows", tuple(cards), sensitive=hidden)
    return f"<p><b>{said}</b></p>{fragment(grid)}"


def problem_html(error: Exception) -> str:
    """A mistake, with what to do about it."""
    return f'<p class="problem" role="alert">{escape(str(error))}</p>'


def _without_shared_start(texts: Sequence[str]) -> list[str]:
    """``a picture of a cat`` and ``a picture of an owl`` as ``a cat`` and ``an owl``."""
    words = [text.split() for text in texts]
    same = (len(set(places)) == 1 for places in zip(*words, strict=False))
    shared = sum(takewhile(bool, same)) if len(words) > 1 else 0
    return [" ".join(own[shared:]) for own in words]


def _bar(name: str, share: float) -> str:
    percent = f"{share:.0%}"
    width = f"{min(share, 1.0):.1%}"
    return (
        f'<span>{escape(name)}</span><span class="track"><i style="width:{width}"></i></span>'
        f"<span>{percent}</span>"
    )
