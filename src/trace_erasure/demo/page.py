"""The page of the demonstration: for each concept a verdict, pictures, its file; then figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trace_erasure.config_file import slug
from trace_erasure.demo.figures import figure_sections, score_table, summary_table
from trace_erasure.demo.report import METRICS, Result
from trace_erasure.evaluation.report.grids import Card, Grid, Picture, verdict_text
from trace_erasure.evaluation.report.html import Section, Take, Text, manifest, write_report
from trace_erasure.evaluation.report.tables import Number, Table
from trace_erasure.evaluation.runs.records import Verdict
from trace_erasure.evaluation.tasks.task import Task
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.utils.sequences import evenly_spaced

CARDS = 6
LEAD = (
    "Each concept is erased from the same small model on its own, with default settings. Two "
    "classifiers then look at pictures of the concept and of everything else, drawn before and "
    "after from the same prompts and seeds."
)


def write(
    path: Path, results: Sequence[Result], store: ImageStore, task: Task, seconds: float
) -> Path:
    """Writes the page. Raises ``InputError`` where it cannot."""
    sections: list[Section] = []
    for result in results:
        sections += [Text(_in_words(result), f"{result.concept} → {result.surrogate}")]
        sections += [_grid(result, store, retained=retained) for retained in (False, True)]
        sections.append(_take(result))
    sections += [summary_table(results), score_table(results)]
    for result in results:
        sections += figure_sections(result)
    times = [(result.concept, Number(f"{result.seconds:.1f} s")) for result in results]
    times.append(("this run, everything", Number(f"{seconds:.1f} s")))
    caption = "Erasing as it was timed when the file was made; pictures that are kept take no time."
    sections.append(Table("Time", ("what", "seconds"), tuple(times), caption, folded=True))
    how = {"judges": [*results[0].judges, *results[0].scorers], "protocol": str(task.protocol())}
    sections.append(manifest(model=results[0].before[0].model, **how))
    return write_report(path, sections, title="Three concepts, erased", subtitle=LEAD)


def _in_words(result: Result) -> str:
    """The verdict on a concept in a sentence or two, counts first."""
    figures = result.figures()
    counts = {
        (metric, when): ", ".join(
            f"{row.numerator} of {row.n} ({judge.split('@')[0]})"
            for judge in result.judges
            for row in [figures[judge, when, metric]]
        )
        for metric in METRICS
        for when in ("before", "after")
    }
    said = (
        f"The concept is recognised in {counts['acc_e', 'after']} pictures, before in "
        f"{counts['acc_e', 'before']}. Everything else is recognised in "
        f"{counts['acc_s', 'after']}, before in {counts['acc_s', 'before']}."
    )
    verdict = result.record.verdict
    if verdict is None:
        return said
    return "\n\n".join([said, f"Verdict by its own figures: {verdict}.", *verdict.advice])


def _take(result: Result) -> Take:
    """The LoRA file, and where to use it."""
    name = slug(result.concept)
    file = f"{name}.safetensors"
    return Take(
        f"Use {result.concept}'s erasure",
        (file, f"{name}.png"),
        (
            ("diffusers", f'pipe.load_lora_weights(".", weight_name="{file}")'),
            ("Python", f'Erasure.load("{file}").attach(pipe)'),
            ("ComfyUI", f"trace-erasure export {file} --for comfyui"),
            ("A1111", f"trace-erasure export {file} --for a1111"),
            ("a server", f"trace-erasure export {file} --for checkpoint --model emoji-sd"),
        ),
    )


def _grid(result: Result, store: ImageStore, *, retained: bool) -> Grid:
    pairs = result.pairs(retained=retained)
    shown = evenly_spaced(pairs, CARDS)
    cards = []
    for before, after in shown:
        # Judges may disagree: a picture is good only if all of them agree that it is.
        seen = [bool(verdict.correct) for verdict in after]
        good = all(seen) if retained else not any(seen)
        pictures = (
            Picture(store.load(before[0].image), "before", _verdict_texts(before)),
            Picture(store.load(after[0].image), "after", _verdict_texts(after), good),
        )
        cards.append(Card(pictures, before[0].prompt, f"seed {before[0].image_seed}"))
    title = f"{result.concept}: neighbours" if retained else f"{result.concept}: erased"
    caption = f"{len(shown)} of {len(pairs)}, taken evenly. Judges: {', '.join(result.judges)}."
    return Grid(title, tuple(cards), caption)


def _verdict_texts(verdicts: Sequence[Verdict]) -> str:
    return "; ".join(
        f"{verdict.judge.split('@')[0]}: {verdict_text(verdict)}" for verdict in verdicts
    )
