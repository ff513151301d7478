"""The page of the demonstration: for each concept a verdict, pictures, its file; then figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from trace_erasure.config_file import slug
from trace_erasure.demo.figures import figure_sections, score_table, summary_table
from trace_erasure.demo.report import Result
from trace_erasure.demo.strengths import STRENGTHS
from trace_erasure.evaluation.report.grids import Card, Grid, Picture, verdict_text
from trace_erasure.evaluation.report.html import Section, Take, Text, manifest, write_report
from trace_erasure.evaluation.report.tables import Number, Table
from trace_erasure.evaluation.runs.records import Row, Verdict
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
    sections: list[Section] = [Grid("", tuple(_lead(one, store) for one in results), lead=True)]
    for result in results:
        sections += [Text(in_words(result), f"{result.concept} → {result.surrogate}")]
        sections += [_grid(result, store, retained=retained) for retained in (False, True)]
        sections += [_strengths(result, task), _take(result)]
    sections += [summary_table(results), score_table(results)]
    for result in results:
        sections += figure_sections(result)
    sections.append(Take("All pictures of this run", ("demo.png",)))
    times = [(result.concept, Number(f"{result.seconds:.1f} s")) for result in results]
    times.append(("this run, everything", Number(f"{seconds:.1f} s")))
    caption = "Erasing as it was timed when the file was made; pictures that are kept take no time."
    sections.append(Table("Time", ("what", "seconds"), tuple(times), caption, folded=True))
    how = {"judges": [*results[0].judges, *results[0].scorers], "protocol": str(task.protocol())}
    sections.append(manifest(model=results[0].before[0].model, **how))
    return write_report(path, sections, title="Three concepts, erased", subtitle=LEAD)


def in_words(result: Result) -> str:
    """The verdict on a concept in a sentence, by the stricter judge; then what to do about it."""
    figures = result.figures()

    def count(metric: str, when: str, stricter: Callable[..., Row]) -> str:
        found = [figures[judge, when, metric] for judge in result.judges]
        row = stricter(found, key=lambda row: row.numerator or 0)
        return f"{row.numerator} of {row.n}"

    verdict = result.record.verdict
    word = "" if verdict is None else f"{verdict.word.capitalize()}: "
    said = (
        f"{word}before, {count('acc_e', 'before', min)} pictures showed it, and now "
        f"{count('acc_e', 'after', max)}; of everything else "
        f"{count('acc_s', 'before', max)} were recognised, and now "
        f"{count('acc_s', 'after', min)}."
    )
    return "\n\n".join([said, *(() if verdict is None else verdict.advice)])


def _lead(result: Result, store: ImageStore) -> Card:
    """A pair of pictures and the verdict, to open the page with."""
    before, after = result.pairs(retained=False)[0]
    pictures = (
        Picture(store.load(before[0].image), "before"),
        Picture(store.load(after[0].image), "after"),
    )
    return Card(pictures, result.concept, in_words(result).partition("\n")[0])


def _strengths(result: Result, task: Task) -> Grid:
    item = task.of(result.concept)[0]
    pictures = zip(STRENGTHS, result.faded, strict=True)
    card = Card(
        tuple(Picture(picture, f"{strength:g}") for strength, picture in pictures),
        item.prompt,
        f"seed {item.seed}",
    )
    caption = "0 is the model as it was, bit for bit; 1 is the erasure as it was made."
    return Grid("By strength", (card,), caption, part=True)


def _take(result: Result) -> Take:
    """The LoRA file, and where to use it."""
    name = slug(result.concept)
    file = f"{name}.safetensors"
    return Take(
        "Use it",
        (file, f"{name}.png", f"{name}.training.json"),
        (
            ("diffusers", f'pipe.load_lora_weights(".", weight_name="{file}")'),
            ("Python", f'Erasure.load("{file}").attach(pipe)'),
            ("ComfyUI", f"trace-erasure export {file} --for comfyui"),
            ("A1111", f"trace-erasure export {file} --for a1111"),
            ("a server", f"trace-erasure export {file} --for checkpoint --model emoji-sd"),
        ),
        part=True,
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
    title = "Its neighbours" if retained else "The concept"
    caption = f"{len(shown)} of {len(pairs)}, taken evenly. Judges: {', '.join(result.judges)}."
    return Grid(title, tuple(cards), caption, part=True)


def _verdict_texts(verdicts: Sequence[Verdict]) -> str:
    """What the judges see: once where they say the same, else with their names."""
    said = {verdict.judge.split("@")[0]: verdict_text(verdict) for verdict in verdicts}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"{judge}: {text}" for judge, text in said.items())
