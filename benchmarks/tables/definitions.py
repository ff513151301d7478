"""Which tables stand in README.md and docs/*.md: what each shows, and of which rows.

Names of tasks, methods and judges are those in the rows; see ``tables.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Column:
    """A metric, over the mean of a task's concepts or for the worst of them.

    ``form`` shows its value; None: in per cent, with its interval. ``judge``, ``method``: of
    others than the line's.
    """

    title: str
    metric: str
    concept: str = "mean"
    form: str | None = None
    judge: str | None = None
    method: str | None = None


@dataclass(frozen=True)
class Table:
    """What a table shows; ``tasks``, ``methods`` and ``judges`` map names in rows to labels.

    There is one line for each combination of them, and one cell for each column. ``note`` says what
    the figures are; None: rates of pictures. ``sparse``: lines without any figure are left out, and
    the whole table if it has none. ``heading`` is that of the tasks.
    """

    tasks: Mapping[str, str]
    methods: Mapping[str, str]
    judges: Mapping[str, str]
    columns: tuple[Column, ...]
    command: str
    model: str = "emoji-sd"
    note: str | None = None
    sparse: bool = False
    heading: str = "concepts"


BASE = {"base": "original model"}
CONTROLS = {**BASE, "drift": "random drift (control)", "blank": "blank pictures (control)"}
TRACE = {"trace": "**TRACE**"}
BOTH_STAGES = {"both stages": "both stages"}
BASELINES = ("esd-x", "esd-u", "uce", "mace", "ant-single", "ant-multi", "rece", "speed")
JUDGES = {"resnet": "ResNet", "regnet": "RegNet"}
TASKS = {
    "objects": "objects",
    "styles": "styles",
    "identities": "people",
    "hazard": "weapons, all at once",
}
TRACE_MERGED = {"trace": "**TRACE**, merged"}
MERGED = {
    **BASE,
    **TRACE_MERGED,
    "ridge only": "ridge only",
    "plain sum": "plain sum of the LoRAs",
    "mace fusion": "MACE's fusion of them",
    "uce": "UCE",
    "blank": "blank pictures",
}
STAGES = {f"stages-{task}": TASKS[task] for task in ("objects", "styles", "identities")}
ERASED = (
    Column("Acc_e ↓", "acc_e"),
    Column("Acc_g ↓", "acc_g"),
    Column("Acc_s ↑", "acc_s"),
    Column("H_o ↑", "h_o"),
    Column("worst Acc_e ↓", "acc_e", "worst"),
)
LEFT = (
    Column("seen when named ↓", "acc_e"),
    Column("all tested wordings, pooled ↓", "acc_all"),
    Column("everything else, of the original's ↑", "acc_s_relative"),
    Column("H ↑", "h_o"),
)
WORDINGS = (
    Column("named ↓", "acc_e"),
    Column("synonyms ↓", "acc_synonym"),
    Column("new sentences ↓", "acc_template"),
    Column("beside another object ↓", "acc_pair"),
    Column("category word ↓", "acc_category"),
    Column("descriptions ↓", "acc_hint"),
)
DRAWN = (
    Column("when named", "acc_e"),
    Column("in other words", "acc_g"),
    Column("everything else", "acc_s"),
)
COMBINED = (
    Column("both seen ↓", "both"),
    Column("both seen, worst ↓", "both", "worst"),
    Column("alone, of the original's ↑", "alone_relative"),
    Column("alone, worst ↑", "alone_relative", "worst"),
    Column("beside a third, of the original's ↑", "beside_relative"),
    Column("beside a third, worst ↑", "beside_relative", "worst"),
)
MANY = {f"many-{n}": f"{n}" for n in (1, 5, 10, 25, 50)}
TOGETHER = (
    Column("Acc_e ↓", "acc_e"),
    Column("worst ↓", "acc_e", "worst", "{:.1%}"),
    Column("Acc_g ↓", "acc_g"),
    Column("everything else, of the original's ↑", "acc_s_relative"),
    Column("H_o ↑", "h_o"),
)
BESIDE = {
    **BASE,
    "blank": "blank pictures (control)",
    **TRACE,
    "trace, both stages": "**TRACE**, both stages",
    "esd-x": "ESD-x",
    "esd-u": "ESD-u",
    "uce": "UCE",
    "mace": "MACE",
    "ant-single": "ANT, single",
    "ant-multi": "ANT, multi",
    "eraseanything": "EraseAnything",
    "rece": "RECE",
    "speed": "SPEED",
}
PAIRED = (
    Column("H_o ↑", "h_o"),
    Column("H_o, RegNet ↑", "h_o", judge="regnet"),
    Column("worst H_o ↑", "h_o", "worst"),
    Column("Acc_e ↓", "acc_e"),
    Column("Acc_g ↓", "acc_g"),
    Column("Acc_s ↑", "acc_s"),
    Column("erased ± TRACE ↓", "paired_erased"),
    Column("p", "paired_p_erased", form="{:.2g}"),
    Column("kept ± TRACE ↑", "paired_kept"),
    Column("p", "paired_p_kept", form="{:.2g}"),
)
# The names of ``variants.ABLATION``, which needs packages to be imported.
PARTS = {
    "default": "**TRACE**: stage 1 alone, 8 directions",
    "equality": "equality, 24 held",
    "ridge": "ridge",
    "null_space": "null space",
    "4 directions": "4 directions",
    "16 directions": "16 directions",
    "equality, 0 held": "equality, none held",
    "equality, 48 held": "equality, 48 held",
    "both stages": "both stages: late window, rank 4, `anchor`",
    "both stages, early window": "both, early window",
    "both stages, all window": "both, all-time",
    "both stages, no early hold": "both, without the early hold",
    "both stages, no retain term": "both, without the retain term",
    "both stages, rank 1": "both, rank 1",
    "both stages, rank 16": "both, rank 16",
    "both stages, reverse_cfg": "both, `reverse_cfg`",
    "both stages, margin": "both, `margin`",
    "stage 2 alone, late window": "stage 2 alone, late window",
    "stage 2 alone, early window": "stage 2 alone, early window",
    "stage 2 alone, all window": "stage 2 alone, all-time",
}
ATTACKS = {
    "paraphrase": "paraphrase",
    "typo": "typing error",
    "synonym": "unseen synonym",
    "composition": "beside another thing, in styles",
    "ring-a-bell": "Ring-A-Bell",
    "soft-prompt": "free soft prompt",
    "textual-inversion": "textual inversion (CCE)",
    "p4d": "P4D",
    "unlearn-diff": "UnlearnDiffAtk",
    "greedy-coordinate": "greedy coordinate (MMA)",
    "by-text": "**all of these**",
}
FROM_PICTURES = {"completion": "completion", "image-to-image": "image to image"}
"""Probes that hand over at ever lower noise levels, so that all succeed in the end."""
PROBES = {
    **FROM_PICTURES,
    "inpainting": "inpainting",
    "noise": "best of 24 noises",
    "relearn": "relearning",
}
ATTACKED = {
    "ANT, single": "ant-single",
    "ANT, multi": "ant-multi",
    "TRACE": "trace",
    "hardened": "trace, hardened",
    "adversarial": "trace, adversarial",
}
LEVELS = (
    Column("TRACE ↓", "success"),
    Column("hardened ↓", "success", method="trace, hardened"),
    Column("adversarial ↓", "success", method="trace, adversarial"),
)
UNDER_CONTROL = (
    Column("never learned", "success", form="{:.0%}", method="all trace / unknown"),
    Column("random words", "success", form="{:.0%}", method="all trace / random"),
)
REAL_SIZES = {
    "sd15": "Stable Diffusion 1.5",
    "sdxl": "SDXL",
    "sd3-medium": "SD3-medium",
    "flux-dev": "FLUX.1 [dev]",
}

TABLES = {
    "readme": Table(
        TASKS,
        TRACE,
        {"resnet": "ResNet"},
        (
            Column("named, before", "acc_e", method="base", form="{:.1%}"),
            Column("named, erased ↓", "acc_e"),
            Column("all tested wordings, before", "acc_all", method="base", form="{:.1%}"),
            Column("all tested wordings, erased ↓", "acc_all"),
            Column("everything else, of the original's ↑", "acc_s_relative"),
        ),
        "python benchmarks/bench.py",
    ),
    "wordings": Table(
        TASKS, {**BASE, **TRACE}, JUDGES, WORDINGS, "python benchmarks/bench.py", sparse=True
    ),
    "summary": Table(TASKS, {**BASE, **TRACE}, JUDGES, LEFT, "python benchmarks/bench.py"),
    "summary-flux": Table(
        TASKS,
        {**BASE, **TRACE},
        JUDGES,
        LEFT,
        "python benchmarks/bench.py --model emoji-flux",
        model="emoji-flux",
        sparse=True,
    ),
    "stages": Table(
        STAGES,
        {
            **BASE,
            "trace": "**TRACE**: stage 1 alone",
            "stage 2 only": "stage 2 alone",
            **BOTH_STAGES,
        },
        JUDGES,
        ERASED,
        "python benchmarks/bench.py --stages",
    ),
    "kinds": Table(TASKS, {**CONTROLS, **TRACE}, JUDGES, ERASED, "python benchmarks/bench.py"),
    "objectives": Table(
        STAGES,
        {"both stages": "`anchor` (default)", "reverse_cfg": "`reverse_cfg`", "margin": "`margin`"},
        JUDGES,
        ERASED,
        "python benchmarks/bench.py --stages",
    ),
    "base": Table(TASKS, BASE, JUDGES, DRAWN, "python benchmarks/bench.py"),
    "flux": Table(
        TASKS,
        {**CONTROLS, **TRACE},
        JUDGES,
        ERASED,
        "python benchmarks/bench.py --model emoji-flux",
        model="emoji-flux",
        sparse=True,
    ),
    "many": Table(MANY, TRACE_MERGED, JUDGES, TOGETHER, "python benchmarks/many.py", sparse=True),
    "many-controls": Table(
        {name: MANY[name] for name in ("many-10", "many-50")},
        MERGED,
        {"resnet": "ResNet"},
        TOGETHER,
        "python benchmarks/many.py",
        sparse=True,
    ),
    "many-cost": Table(
        MANY,
        TRACE_MERGED,
        {"none": "none"},
        (
            Column("seconds in all", "seconds", "all", "{:.0f}"),
            Column("of which the merge", "seconds_merge", "all", "{:.1f}"),
            Column("MiB that it adds", "added_mib_merge", "all", "{:.0f}"),
            Column("an artifact, kB", "artifact_kb", "all", "{:.0f}"),
            Column("the merged file, kB", "merged_kb", "all", "{:.0f}"),
        ),
        "python benchmarks/many.py",
        note="Measured, on one thread beside another process.",
        sparse=True,
    ),
    "many-switch": Table(
        {"many-switch": "25, give or take one"},
        {
            "base": "original model",
            "25": "25 merged",
            "one more": "and one more, *banana*",
            "one less": "or one less, *apple*",
        },
        JUDGES,
        (
            Column("Acc_e of 24 ↓", "acc_e", "others"),
            Column("Acc_g of 24 ↓", "acc_g", "others"),
            Column("everything else ↑", "acc_s", "others"),
            Column("*banana* seen", "acc_e", "comes"),
            Column("*apple* seen", "acc_e", "goes"),
        ),
        "python benchmarks/switches.py switch",
        sparse=True,
    ),
    "many-strength": Table(
        {"many-strength": "five"},
        {
            **BASE,
            **{f"trace × {s:g}": f"strength {s:g}" for s in (0, 0.25, 0.5, 0.75)},
            "trace": "strength 1",
            "first at a half": "*fox* at 0.5, the others at 1",
        },
        {"resnet": "ResNet"},
        (
            Column("Acc_e ↓", "acc_e"),
            Column("Acc_g ↓", "acc_g"),
            Column("everything else ↑", "acc_s"),
            Column("*fox* seen", "acc_e", "fox"),
        ),
        "python benchmarks/switches.py strength",
        sparse=True,
    ),
    "many-file": Table(
        {"many-file": "ten"},
        {"trace": "`attach`", "plain diffusers": "`load_lora_weights`"},
        JUDGES,
        TOGETHER,
        "python benchmarks/switches.py file",
        sparse=True,
    ),
    "combined": Table(
        {"combined": "three pairs, two styles on one thing"},
        {
            **BASE,
            "trace": "**TRACE**, one by one",
            "merged": "all five merged",
            "blank": "blank pictures",
        },
        JUDGES,
        COMBINED,
        "python benchmarks/combined.py",
        sparse=True,
    ),
    "many-flux-controls": Table(
        {name: MANY[name] for name in ("many-10", "many-50")},
        {name: label for name, label in MERGED.items() if name != "ridge only"},
        {"resnet": "ResNet"},
        TOGETHER,
        "python benchmarks/many.py --model emoji-flux",
        model="emoji-flux",
        sparse=True,
    ),
    "attacks": Table(
        {f"attack/{name}": label for name, label in ATTACKS.items()},
        TRACE,
        {"resnet": "ResNet"},
        (
            Column("original model", "success", form="{:.0%}", method="base"),
            Column("best baseline ↓", "success", method="best baseline"),
            Column("ANT, single", "success", form="{:.0%}", method="ant-single"),
            Column("ANT, multi", "success", form="{:.0%}", method="ant-multi"),
            *LEVELS,
            Column("adversarial / best", "ratio", form="{:.2f}", method="trace, adversarial"),
            *UNDER_CONTROL,
        ),
        "make bench-attacks",
        note="Per cent of cases in which the concept is seen again, 95 % intervals.",
        heading="attack",
        sparse=True,
    ),
    "attacks-flux": Table(
        {f"attack/{name}": label for name, label in ATTACKS.items()},
        TRACE,
        {"resnet": "ResNet"},
        (
            Column("original model", "success", form="{:.0%}", method="base"),
            *LEVELS,
            *UNDER_CONTROL,
        ),
        "python benchmarks/attacks.py --model emoji-flux --concepts fox dog --cases 2 "
        "--methods trace 'trace, hardened' 'trace, adversarial'",
        model="emoji-flux",
        note="Per cent of cases in which the concept is seen again, 95 % intervals.",
        heading="attack",
        sparse=True,
    ),
    "probes": Table(
        {f"attack/{name}": label for name, label in PROBES.items()},
        TRACE,
        {"resnet": "ResNet"},
        (
            Column("original model", "success", form="{:.0%}", method="base"),
            *(Column(t, "success", form="{:.0%}", method=m) for t, m in ATTACKED.items()),
            Column("never learned", "success", form="{:.0%}", method="all trace / unknown"),
        ),
        "make bench-attacks",
        note="Cases in which the concept is seen again.",
        heading="probe",
        sparse=True,
    ),
    "probes-high": Table(
        {f"attack/{name}": label for name, label in FROM_PICTURES.items()},
        TRACE,
        {"resnet": "ResNet"},
        tuple(Column(t, "success@5", form="{:.0%}", method=m) for t, m in ATTACKED.items()),
        "make bench-attacks",
        note="Cases in which the concept is seen again from noise level 0.77 or higher.",
        heading="probe",
        sparse=True,
    ),
    "retention": Table(
        {"attack/retention": "retention"},
        {
            **BASE,
            **TRACE,
            "trace, hardened": "TRACE, hardened",
            "trace, adversarial": "TRACE, adversarial",
            **{name: name for name in BASELINES},
        },
        {"resnet": "ResNet"},
        (
            Column("everything else ↑", "acc_s"),
            Column("of the original's ↑", "acc_s_relative"),
            Column("worst concept ↑", "acc_s_relative", "worst"),
        ),
        "make bench-attacks",
        note="Per cent, mean over the attacked erasures, 95 % intervals.",
        sparse=True,
    ),
    "certificates": Table(
        {
            "certificate/retained": "20 other prompts",
            "certificate/concept": "*fox* against its surrogate",
        },
        {
            "stage 1 × 0.01": "strength 0.01",
            "stage 1 × 0.02": "strength 0.02",
            "stage 1 × 0.05": "strength 0.05",
            "stage 1 × 1": "strength 1",
        },
        {"detectors": "detectors"},
        (
            Column("KL, nats", "kl", "fox", "{:.3g}"),
            Column("bound", "bound", "fox", "{:.2g}"),
            Column("bound, all but vacuous", "vacuous_bound", "fox", "{:.2g}"),
            Column("largest difference of six detectors", "gap", "fox", "{:.2g}"),
            *(
                Column(f"bounds broken, *{name}*", "violations", name, "{:.0f}")
                for name in ("fox", "apple", "house")
            ),
        ),
        "python benchmarks/certificates.py",
        note="Rates of detectors, as shares of pictures.",
        heading="prompts",
        sparse=True,
    ),
    "real-sizes": Table(
        REAL_SIZES,
        {"stage 1 only": "stage 1"},
        {"none": "none"},
        (
            Column("maps", "maps", "fox", "{:.0f}"),
            Column("seconds", "seconds", "fox", "{:.0f}"),
            Column("CPU seconds", "cpu_seconds", "fox", "{:.0f}"),
            Column("seconds, cold", "seconds_cold", "fox", "{:.0f}"),
            Column("CPU seconds, cold", "cpu_seconds_cold", "fox", "{:.0f}"),
            Column("peak MiB", "peak_mib", "fox", "{:.0f}"),
            Column("of which loaded", "loaded_mib", "fox", "{:.0f}"),
        ),
        "OMP_NUM_THREADS=1 python benchmarks/real_sizes.py --captions 50",
        model="random",
        note="Measured, on random weights.",
        heading="model",
    ),
    "budget": Table(
        REAL_SIZES,
        {"stage 2": "stage 2"},
        {"none": "none"},
        (
            Column("network", "network", "any", "{:.1f}"),
            Column("text encoders", "encoders", "any", "{:.1f}"),
            Column("adapter", "adapter", "any", "{:.2f}"),
            Column("bank", "bank", "any", "{:.1f}"),
            Column("rollout", "rollout", "any", "{:.1f}"),
            Column("a state, backward", "state", "any", "{:.1f}"),
            Column("the same, checkpointed", "checkpointed", "any", "{:.1f}"),
            Column("card, default batch", "card", "any", "{:.0f}"),
            Column("card, `batch=1`", "card_least", "any", "{:.0f}"),
        ),
        "python benchmarks/budget.py",
        model="random",
        note="GiB, computed from shapes, not measured.",
        heading="model",
    ),
    "real-steps": Table(
        {
            "sd15, batch 8": "Stable Diffusion 1.5, `batch=8`",
            "sdxl, batch 8": "SDXL, `batch=8`",
            "sdxl, batch 1": "SDXL, `batch=1`",
            "flux-dev, batch 4": "FLUX.1 [dev], `batch=4`",
            "flux-dev, batch 1": "FLUX.1 [dev], `batch=1`",
        },
        {"stage 2": "stage 2"},
        {"none": "none"},
        (
            Column("seconds a step", "seconds", "any", "{:.1f}"),
            Column("peak of the steps", "peak", "any", "{:.1f}"),
            Column("computed", "computed", "any", "{:.1f}"),
            Column("rollout", "rollout", "any", "{:.1f}"),
            Column("computed", "rollout_computed", "any", "{:.1f}"),
        ),
        "python benchmarks/real_steps.py",
        model="random",
        note="GiB, but for the seconds; measured, on random weights.",
        heading="model",
    ),
    "comparison": Table(
        {f"compare-{task}": label for task, label in TASKS.items()},
        BESIDE,
        {"resnet": "ResNet"},
        PAIRED,
        "make bench-compare",
        sparse=True,
    ),
    "comparison-cost": Table(
        {"compare-cost": "cost"},
        {name: label for name, label in BESIDE.items() if name not in ("base", "blank")},
        {"none": "none"},
        (
            Column("seconds", "seconds", "all", "{:.1f}"),
            Column("MiB that it adds on the host", "added_mib", "all", "{:.0f}"),
            Column("file, bytes", "bytes", "all", "{:,.0f}"),
            Column("erasures", "erasures", "all", "{:.0f}"),
            Column("of which good", "good", "all", "{:.0f}"),
            Column("seconds of the good", "seconds_to_good", "all", "{:.1f}"),
            Column("TRACE's share of them", "trace_ratio", "all", "{:.2f}"),
            Column("with both stages", "both_stages_ratio", "all", "{:.2f}"),
        ),
        "make bench-compare",
        note="Medians.",
        sparse=True,
    ),
    "ablation": Table(
        {f"ablation-{task}": TASKS[task] for task in ("objects", "styles")},
        {**BASE, **PARTS},
        {"resnet": "ResNet"},
        (*ERASED[:-1], Column("H_o, RegNet ↑", "h_o", judge="regnet")),
        "make bench-compare",
        sparse=True,
    ),
}

BOTH = (
    "wordings", "many", "many-switch", "many-strength", "many-file", "combined",
    "certificates", "comparison", "comparison-cost", "ablation",
)  # fmt: skip
"""Tables that stand for the other model, too, as ``<name>-flux``."""
for _name in BOTH:
    _own = TABLES[_name]
    # A target of make measures both models, a script one.
    _model = "" if _own.command.startswith("make ") else " --model emoji-flux"
    TABLES[f"{_name}-flux"] = replace(_own, model="emoji-flux", command=_own.command + _model)
