"""Certificates and forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from trace_erasure.cli.printing.console import make_table

if TYPE_CHECKING:
    from trace_erasure.guarantees.certify import Guarantee
    from trace_erasure.guarantees.forecast import Forecast
    from trace_erasure.guarantees.oracle_forecast import OracleForecast
    from trace_erasure.guarantees.path_kl import PathKL


def about_guarantee(found: Guarantee) -> list[Table]:
    """A certificate: the exact part, the statistical part, what it does not cover."""
    exact = found.exact
    facts = make_table(f"{found.title}: exact part")
    facts.add_row("verdict", _verdict(found))
    worst = max(exact.prompts, key=lambda prompt: exact.prompts[prompt])
    facts.add_row(
        "listed prompts",
        f"{len(exact.prompts)}; worst residual {exact.prompts[worst]:.2g}: {worst}",
    )
    facts.add_row("surrogate", f"moved by {exact.surrogate:.2g} at worst")
    facts.add_row("empty prompt", f"moved by {exact.empty_prompt:.2g}")
    facts.add_row("recovery margin", f"{exact.recovery_margin:.2g}")
    if exact.capacity is not None:
        facts.add_row("capacity used", f"{exact.capacity:.0%}")
    if exact.pooled_path != "none":
        facts.add_row("pooled path", exact.pooled_path)
    if exact.deep:
        facts.add_row("deeper layers", f"{len(exact.deep)} changed, e.g. {exact.deep[0]}")
    roles = make_table(
        "Residual by position", "stream", "position", "columns", "moved", "residual", "worst",
        "unmoved change",
    )  # fmt: skip
    for row in exact.positions:
        moving = (f"{row.residual:.2g}", f"{row.worst:.2g}") if row.moved else ("", "")
        still = f"{row.unmoved:.2g}" if row.moved < row.columns else ""
        roles.add_row(row.stream, row.role, str(row.columns), str(row.moved), *moving, still)
    tables = [facts, roles]
    tables += [_path_table(found, kl) for kl in (found.concept, found.retained) if kl]
    rest = make_table("Not covered")
    for line in found.not_covered:
        rest.add_row("·", line)
    return [*tables, rest]


def _verdict(found: Guarantee) -> str:
    if found.exact.holds:
        return (
            "exact: on the listed prompts the erased model is the original on the surrogate's "
            "prompts, for every seed, sampler and guidance scale"
        )
    if found.exact.pooled_path == "open":
        return "not exact: the pooled path is open"
    return "not exact: the figures below say how far from it"


def _path_table(found: Guarantee, kl: PathKL) -> Table:
    about = f"{found.sampler}, {found.steps} steps, guidance {found.guidance_scale:g}"
    table = make_table(f"Statistical part: {kl.comparison}")
    table.add_row("sampler", about)
    table.add_row("paths", f"{kl.paths} over {kl.prompts} prompts")
    for name, part in (("KL", kl.total), ("early", kl.early), ("late", kl.late)):
        side = {"early": f" above noise level {found.noise_level:.2f}", "late": " below it"}
        text = f"{part.value:.3g} nats{side.get(name, '')}, 95 % {part.low:.3g} to {part.high:.3g}"
        table.add_row(name, text)
    if kl.vacuous:
        table.add_row("any detector", f"vacuous: |ΔPr| ≤ {kl.detector:.3g} says next to nothing")
    else:
        table.add_row("any detector", f"|ΔPr| ≤ {kl.detector:.3g}, averaged over the prompts")
    table.add_row(
        f"at level {found.noise_level:.2f}", f"|ΔPr| ≤ {kl.state:.3g} for the state there"
    )
    if kl.vacuous and kl.lowest_informative_level is not None:
        table.add_row("informative", f"for states down to level {kl.lowest_informative_level:.2f}")
    return table


def about_forecast(found: Forecast, most: int) -> list[Table]:
    """A forecast: the names that will change most, better plans, what it must cost."""
    concept = found.concept
    title = f"Erasing {concept.phrase} → {concept.surrogate}: change of other names"
    names = make_table(title, "name", "network", "text", "")
    for row in found.names[:most]:
        mark = "affected" if row.affected else ""
        names.add_row(row.name, f"{row.network:.2f}", f"{row.text:.3f}", mark)
    plans = make_table(
        "Plans by mean change of the text", "surrogate", "retain as well", "mean", "worst",
        "residual",
    )  # fmt: skip
    for plan in (*found.better, found.planned):
        kept = ", ".join(plan.retain) or "nothing named"
        figures = (f"{plan.mean:.3f}", f"{plan.worst:.3f}", f"{plan.residual:.2f}")
        plans.add_row(f"{plan.surrogate}{'' if plan in found.better else ' (as it is)'}", kept,
                      *figures)  # fmt: skip
    curve = make_table(
        "Least collateral of any edit, as a share of the concept's own change",
        "at residual",
        "costs",
    )
    for residual, cost in found.curve:
        curve.add_row(f"{residual:.2f}", "cannot be had" if cost == float("inf") else f"{cost:.3f}")
    notes = make_table("Warnings" if found.warnings else "No warnings")
    for line in found.warnings:
        notes.add_row("·", line)
    return [names, plans, curve, notes]


def about_oracle(found: OracleForecast) -> Table:
    """What perfect steering would leave, a row a window."""
    title = f"Perfect steering of {found.concept.phrase} ({found.objective})"
    table = make_table(title, "τ", "still shown")
    for window in found.windows:
        level = f"{window.noise_level:.2f}" if window.noise_level else "not steered"
        table.add_row(level, f"{window.left:.0%}" if found.tells else "cannot be told")
    smallest = found.smallest
    if found.tells:
        none = "none removes it: choose another objective or a larger eta"
        table.add_row("smallest", none if smallest is None else f"{smallest:.2f}")
    return table
