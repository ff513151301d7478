"""The settings of one erasure, as plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trace_erasure.concepts.concept import Concept
from trace_erasure.errors import InputError, shown
from trace_erasure.math.objective_names import NAMES as OBJECTIVES
from trace_erasure.utils.numbers import check_flag, check_integer, check_number, check_seed
from trace_erasure.utils.words import check_phrases, fold

SEARCHES = ("words", "network")
HARDENING = ("off", "closed_form", "adversarial")
WINDOWS = ("late", "early", "all")
LEVELS_BY = ("profile", "oracle")
LAYERS = ("text", "cross", "blocks")
"""What stage 2 may train: the layers that carry the prompt's keys and values (those that the family
trains by default), every layer on the text's side of attention, or every linear layer of the
blocks."""
MODES = ("equality", "ridge", "null_space")


def _check(condition: bool, name: str, value: object, allowed: str) -> None:
    if not condition:
        raise InputError(f"{name} is {shown(value)}; allowed: {allowed}.")


def _check_settings(name: str, value: object, kind: type) -> None:
    _check(value is None or isinstance(value, kind), name, value, f"a {kind.__name__}, or None")


@dataclass(frozen=True)
class ClosedFormConfig:
    """Stage 1.

    Attributes:
        mode: ``equality`` (redirect exactly along the chosen directions), ``ridge`` (the best
            compromise of so many directions, over sentences from the captions, too) or
            ``null_space`` (that, but never touch the retained span). None is ``ridge`` where a
            text encoder reads both ways and nothing asks for an equality; else ``equality``.
        directions: how many leading directions of surrogate − concept to redirect. None solves
            untruncated: in equality mode exact on the listed prompts, badly conditioned with many
            of them. There several concepts of one run share the directions out, at least one each;
            a compromise has so many for each.
        ridge: λ of Σ + λ·mean(diag Σ)·I.
        keep: how many leading directions of the retained embeddings are held exactly; a ridge
            weighs all of them instead.
        pooled: whether the pooled vector, in families that have one, is redirected too; without
            it the concept keeps a way in, and the certificate calls the pooled path open.

    ``directions`` and ``keep`` count for each segment of tokens (Stable Diffusion 3 has CLIP's
    and T5's) and for the pooled vector.
    """

    mode: str | None = None
    directions: int | None = 8
    ridge: float = 1e-3
    keep: int = 24
    pooled: bool = True

    def __post_init__(self) -> None:
        known = self.mode is None or self.mode in MODES
        _check(known, "closed_form.mode", self.mode, ", ".join(MODES))
        check_integer("closed_form.directions", self.directions, 1, optional=True)
        check_number("closed_form.ridge", self.ridge, 0, exclusive=True)
        check_integer("closed_form.keep", self.keep, 0)
        check_flag("closed_form.pooled", self.pooled)


STATE_ETA, MAX_STATE_ETA = 5.0, 8.0
"""η with state prompts: the default, and the most that is allowed."""


@dataclass(frozen=True)
class FinetuneConfig:
    """Stage 2.

    Attributes:
        state_prompts: prompts whose pictures show the concept although no word names it, such as
            ``a kitchen``. States of their trajectories are steered, as far as the concept appears
            in them, and held where it does not. Empty: the concept's own prompts.
        objective: ``anchor``, ``reverse_cfg``, ``margin`` or ``without_guidance`` (see
            ``math.objectives``). None is ``reverse_cfg`` with state prompts, where an anchor
            would put the surrogate into the scene; else ``anchor``.
        eta: strength of the objective, at most 1, beyond which targets leave the data. With state
            prompts at most ``MAX_STATE_ETA``: what a name adds to a scene that shows the thing
            already is small. None is 1, or ``STATE_ETA``.
        noise_level: τ; concept states at or below it are steered away, states above it are held
            where stage 1 leaves them. None finds it as ``noise_level_by`` says.
        noise_level_by: ``profile``, from the trajectory profile; or ``oracle``, the smallest τ at
            which perfect steering removes the concept.
        window: which states are steered: ``late``, those; ``early`` turns the two round; ``all``
            holds none. The terms of the loss keep their names.
        layers: which layers are trained, one of ``LAYERS``.
        steps, batch, rank: of the LoRA; ``batch`` counts concept states.
        learning_rate: None is in proportion to the layers' weights and their number.
        late, early, empty, retain: weights of the four loss terms.
        trajectories, retain_trajectories, sampler_steps, guidance_scale: of the cached rollouts.
            Networks with distilled guidance are told ``guidance_scale`` in training, too.
    """

    state_prompts: tuple[str, ...] = ()
    objective: str | None = None
    eta: float | None = None
    noise_level: float | None = None
    noise_level_by: str = "profile"
    window: str = "late"
    layers: str = "text"
    steps: int = 90
    batch: int = 8
    rank: int = 4
    learning_rate: float | None = None
    late: float = 1.0
    early: float = 0.5
    empty: float = 0.5
    retain: float = 1.0
    trajectories: int = 16
    retain_trajectories: int = 24
    sampler_steps: int = 12
    guidance_scale: float = 3.5

    def __post_init__(self) -> None:
        prompts = check_phrases(self.state_prompts, "finetune.state_prompts")
        object.__setattr__(self, "state_prompts", prompts)
        known = self.objective is None or self.objective in OBJECTIVES
        _check(known, "finetune.objective", self.objective, ", ".join(OBJECTIVES))
        limit = MAX_STATE_ETA if prompts else 1
        check_number("finetune.eta", self.eta, 0, limit, optional=True)
        for name, allowed in (
            ("noise_level_by", LEVELS_BY),
            ("window", WINDOWS),
            ("layers", LAYERS),
        ):
            value = getattr(self, name)
            _check(value in allowed, f"finetune.{name}", value, ", ".join(allowed))
        check_number("finetune.noise_level", self.noise_level, 0, 1, optional=True, exclusive=True)
        for name in (
            "steps",
            "batch",
            "rank",
            "trajectories",
            "retain_trajectories",
            "sampler_steps",
        ):
            check_integer(f"finetune.{name}", getattr(self, name), 1)
        for name in ("late", "early", "empty", "retain", "guidance_scale"):
            check_number(f"finetune.{name}", getattr(self, name), 0)
        check_number("finetune.learning_rate", self.learning_rate, 0, optional=True, exclusive=True)

    @classmethod
    def for_scenes(cls, *state_prompts: str, **settings: Any) -> FinetuneConfig:
        """Settings for state prompts, which take more training and more that is retained.

        Chosen on four concepts of emoji-scenes that no table reports. ``settings`` replace them.

        >>> FinetuneConfig.for_scenes("a chef", steps=90).state_prompts
        ('a chef',)
        """
        usual: dict[str, Any] = dict(
            rank=8, steps=160, late=3.0, retain=3.0, retain_trajectories=48
        )
        return cls(**{**usual, **settings, "state_prompts": state_prompts})

    @property
    def objective_name(self) -> str:
        """The objective, the default named."""
        return self.objective or ("reverse_cfg" if self.state_prompts else "anchor")

    @property
    def strength(self) -> float:
        """``eta``, the default filled in."""
        if self.eta is not None:
            return self.eta
        return STATE_ETA if self.state_prompts else 1.0


ADVERSARIAL_FINETUNE = FinetuneConfig(steps=120, rank=8, learning_rate=2e-3)
"""Stage 2 of adversarial hardening: an adversary takes more training to resist than the name does,
which stage 1 has redirected already."""


@dataclass(frozen=True)
class MergeConfig:
    """How artifacts become one.

    Attributes:
        mode: ``auto``, equality as long as there is room for it, or ``ridge`` in any case.
        directions: conditions a concept in the joint solve; None takes, of 8, 4, 2 and 1, the
            number that costs least of those that there is room for.
        keep: how many leading directions of what is retained are held, as in ``ClosedFormConfig``.
        ridge: λ of Σ + λ·mean(diag Σ)·I.
        rank: the most that the result may have; None loses nothing. Trained parts give way first.
        integrate: a short finetune of all together, towards what each artifact does alone.
    """

    mode: str = "auto"
    directions: int | None = None
    keep: int = 24
    ridge: float = 1e-3
    rank: int | None = None
    integrate: FinetuneConfig | None = None

    def __post_init__(self) -> None:
        _check(self.mode in ("auto", "ridge"), "merge.mode", self.mode, "auto or ridge")
        for name in ("directions", "rank"):
            value = getattr(self, name)
            check_integer(f"merge.{name}", value, 1, optional=True)
        check_integer("merge.keep", self.keep, 0)
        check_number("merge.ridge", self.ridge, 0, exclusive=True)
        _check_settings("merge.integrate", self.integrate, FinetuneConfig)


@dataclass(frozen=True)
class EraseConfig:
    """Everything that decides an erasure; the same spec and base give the same bytes.

    Attributes:
        concepts: what to erase.
        closed_form: stage 1, or None to leave it out.
        finetune: stage 2, or None to leave it out; then the certificate speaks of the result.
        seed: of every random choice.
        hardening: ``off``, ``closed_form`` or ``adversarial``. ``closed_form`` adds typos,
            repetitions and searched prompts to stage 1, and adversarial rounds. ``adversarial``
            also trains stage 2, by default with ``ADVERSARIAL_FINETUNE``, on the layers behind the
            text-facing maps, with stage 1 switched off and prompts perturbed to restore the
            concept.
        search: what is asked for synonyms, surrogates and names to retain: ``words``, the lexicon
            and the text encoder, or ``network``, what the network draws for each, in a few hundred
            passes.
    """

    concepts: tuple[Concept, ...]
    closed_form: ClosedFormConfig | None = ClosedFormConfig()
    finetune: FinetuneConfig | None = None
    seed: int = 0
    hardening: str = "off"
    search: str = "words"

    def __post_init__(self) -> None:
        check_seed(self.seed)
        _check(self.search in SEARCHES, "search", self.search, ", ".join(SEARCHES))
        _check_settings("closed_form", self.closed_form, ClosedFormConfig)
        _check_settings("finetune", self.finetune, FinetuneConfig)
        _check(self.hardening in HARDENING, "hardening", self.hardening, ", ".join(HARDENING))
        if self.hardening != "off" and self.closed_form is None:
            raise InputError(f"hardening {self.hardening!r} needs stage 1. Keep closed_form.")
        _check_concepts(self.concepts)
        if self.closed_form is None and self.finetune is None:
            raise InputError(
                "both stages are switched off: nothing would be erased. Keep the closed form, or "
                "set finetune."
            )


PRESETS: dict[str, dict[str, Any]] = {
    "fast": {},
    "trace": {"finetune": FinetuneConfig()},
    "hardened": {"hardening": "closed_form"},
}
"""Settings of ``EraseConfig`` by name: the closed form alone, in seconds; the method of the paper,
both stages; and what holds against typing errors and prompts that were searched for."""


def preset(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a preset, with ``given`` ones in their place.

    Raises ``InputError`` for an unknown name.

    >>> preset("trace", {"hardening": "off"})["finetune"] == FinetuneConfig()
    True
    """
    _check(isinstance(name, str) and name in PRESETS, "preset", name, ", ".join(PRESETS))
    return {**PRESETS[name], **given}


def _check_concepts(concepts: tuple[Concept, ...]) -> None:
    """Raises ``InputError`` for no concept, one given twice, or one that is another's synonym."""
    listed = isinstance(concepts, tuple | list) and len(concepts) > 0
    _check(listed, "concepts", concepts, "a list of at least one concept")
    for i, concept in enumerate(concepts):
        _check(isinstance(concept, Concept), f"concepts[{i}]", concept, "Concept objects")
    seen: dict[tuple[str, ...], Concept] = {}
    for concept in concepts:
        other = seen.setdefault(concept.key, concept)
        if other is not concept:
            named = {one.surrogate for one in (concept, other) if one.surrogate}
            with_ = f", with the surrogates {sorted(named)}" if len(named) > 1 else ""
            raise InputError(f"{concept.name!r} is given twice{with_}. Give it once.")
    whole = [concept for concept in concepts if concept.only_with is None]
    for concept in whole:
        own = {fold(synonym): synonym for synonym in concept.synonyms}
        for other in whole:
            if other is not concept and fold(other.phrase) in own:
                raise InputError(
                    f"{other.phrase!r} is a concept by itself and a synonym of "
                    f"{concept.phrase!r}. Give it once."
                )
