"""The figures of the demonstration: what the judges count, certificates, the course of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from trace_erasure.demo.report import METRICS, Result
from trace_erasure.evaluation.report.html import Plot, Section
from trace_erasure.evaluation.report.plots import Series, line_plot
from trace_erasure.evaluation.report.tables import Number, Table, number

SCORES = {"clip_e": "prompts of the concept", "clip_s": "others"}
CERTIFICATE = {
    "residual_listed": (
        "residual, listed prompts",
        "share of the concept − surrogate difference that is left in the prompts of the solve; "
        "0 is exact",
    ),
    "residual_held_out": (
        "residual, held-out prompts",
        "the same share in wordings that the solve did not use",
    ),
    "expected_collateral": (
        "expected collateral",
        "expected squared change of the edited layers' output on ordinary captions, relative to "
        "the output",
    ),
    "empty_prompt": (
        "change of the empty prompt",
        "relative change of what guidance subtracts",
    ),
    "recovery_margin": (
        "recovery margin",
        "least distance of any embedding from the concept's keys and values, relative to concept "
        "− surrogate; 0 means that some embedding restores the concept",
    ),
    "capacity": (
        "capacity used",
        "share of the embedding's dimensions that the constraints use",
    ),
    "discarded": (
        "discarded",
        "share of the concept − surrogate energy outside the redirected directions",
    ),
    "rank": ("rank of the edit", "dimensions of the embedding that the edit changes"),
    "size": (
        "size of the edit",
        "Frobenius norm of the edit; a large one is ill-conditioned",
    ),
}
"""Field of the certificate to its name on the page, and its meaning. All but the rank and the size
are ratios; each is the worst over the text streams."""


def summary_table(results: Sequence[Result]) -> Table:
    """How often the judges recognise each concept and everything else."""
    lines: list[tuple[str | Number, ...]] = []
    for result in results:
        for judge, numbers in _before_and_after(result, result.judges, METRICS):
            lines.append((result.concept, result.surrogate, judge, *numbers))
    caption = "Per cent of pictures, 95 % intervals, number of pictures."
    heads = ("concept", "surrogate", "judge", *_heads(METRICS))
    return Table("Recognised", heads, tuple(lines), caption)


def score_table(results: Sequence[Result]) -> Table:
    """How well pictures fit their prompts."""
    lines: list[tuple[str | Number, ...]] = []
    for result in results:
        for scorer, numbers in _before_and_after(result, result.scorers, SCORES):
            lines.append((result.concept, scorer, *numbers))
    caption = "100 cos between picture and prompt, mean, 95 % intervals, number of pictures."
    return Table("CLIP scores", ("concept", "model", *_heads(SCORES)), tuple(lines), caption)


def _before_and_after(
    result: Result, judges: Sequence[str], metrics: Iterable[str]
) -> Iterator[tuple[str, list[Number]]]:
    """(name, the figures of every metric before and after) of each judge."""
    figures = result.figures()
    for judge in judges:
        numbers = [
            number(figures[judge, method, metric])
            for metric in metrics
            for method in ("before", "after")
        ]
        yield judge.split("@")[0], numbers


def _heads(metrics: Mapping[str, str]) -> list[str]:
    return [f"{title}, {when}" for title in metrics.values() for when in ("before", "after")]


def figure_sections(result: Result) -> list[Section]:
    """The certificate and the course of the training, folded."""
    sections: list[Section] = []
    certificate = result.record.certificate
    if certificate:
        lines = [
            (name, Number(f"{getattr(certificate, field):.3g}"), meaning)
            for field, (name, meaning) in CERTIFICATE.items()
        ]
        if certificate.retained:
            worst, change = max(certificate.retained.items(), key=lambda item: item[1])
            lines.append(
                (
                    "change of retained prompts",
                    Number(f"{change:.3g}"),
                    f"relative change of the most changed one: {worst}",
                )
            )
        title = f"{result.concept}: certificate of the closed form"
        sections.append(Table(title, ("quantity", "value", "meaning"), tuple(lines), folded=True))
    if result.record.finetune:
        sections += [replace(one, folded=True) for one in (_losses(result), _trajectory(result))]
    return sections


def _losses(result: Result) -> Plot:
    steps = [step["step"] for step in result.steps]
    series = [Series("weighted sum", [step["loss"] for step in result.steps], steps)]
    for term in result.steps[-1]["terms"] if result.steps else ():
        series.append(Series(term, [step["terms"][term] for step in result.steps], steps))
    svg = line_plot(series, title="loss", x_label="step", y_label="loss")
    caption = "Mean squared error of the network's output, on one random batch a step."
    return Plot(f"{result.concept}: loss", svg, caption)


def _trajectory(result: Result) -> Plot:
    finetune = result.record.finetune
    assert finetune is not None
    levels, energy = finetune.profile.noise_levels, finetune.profile.energy
    chosen = finetune.noise_level
    series = [
        Series("share of the concept's energy", energy, levels),
        Series(f"noise level {chosen:.2f}", [0.0, max(energy)], [chosen, chosen]),
    ]
    svg = line_plot(
        series,
        title="trajectory",
        x_label="noise level, from clean to pure noise",
        y_label="share",
        x_range=(0.0, 1.0),
    )
    caption = (
        f"Where {result.concept} and {result.surrogate} differ in what the network predicts. "
        "States at or below the marked noise level are steered away; the others are held."
    )
    return Plot(f"{result.concept}: along the trajectory", svg, caption)
