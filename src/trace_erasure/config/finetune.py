"""Settings of stage 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trace_erasure.config.checks import check
from trace_erasure.math.objective_names import NAMES as OBJECTIVES
from trace_erasure.utils.numbers import check_integer, check_number
from trace_erasure.utils.words import check_phrases

WINDOWS = ("late", "early", "all")
LEVELS_BY = ("profile", "oracle")
LAYERS = ("text", "cross", "blocks")
"""What stage 2 may train: the layers that carry the prompt's keys and values (those that the family
trains by default), every layer on the text's side of attention, or every linear layer of the
blocks."""
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
    steps: int = 160
    batch: int = 8
    rank: int = 8
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
        check(known, "finetune.objective", self.objective, ", ".join(OBJECTIVES))
        limit = MAX_STATE_ETA if prompts else 1
        check_number("finetune.eta", self.eta, 0, limit, optional=True)
        for name, allowed in (
            ("noise_level_by", LEVELS_BY),
            ("window", WINDOWS),
            ("layers", LAYERS),
        ):
            value = getattr(self, name)
            check(value in allowed, f"finetune.{name}", value, ", ".join(allowed))
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
        """Settings for state prompts, which take more weight and more that is retained.

        Chosen on four concepts of emoji-scenes that no table reports. ``settings`` replace them.

        >>> FinetuneConfig.for_scenes("a chef", steps=90).state_prompts
        ('a chef',)
        """
        usual: dict[str, Any] = dict(late=3.0, retain=3.0, retain_trajectories=48)
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
