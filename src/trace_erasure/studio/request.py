"""What somebody asks the studio to erase."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.kinds import AUTO
from trace_erasure.concepts.pack import Pack, load_pack, shipped_packs
from trace_erasure.config import EraseConfig, preset
from trace_erasure.errors import InputError

BETWEEN = re.compile(r"\s*[,;\n]\s*")
SCENES_BETWEEN = re.compile(r"\s*[;\n]\s*")
"""Sentences may hold commas."""


@dataclass(frozen=True)
class Request:
    """A form as it was filled in.

    Attributes:
        model: a shipped one, a folder or a repository of the hub.
        phrase: what to erase; empty where a pack says it.
        pack: the name of a shipped pack; empty where the phrase says it.
        kind, surrogate: of the phrase; an empty surrogate has one proposed.
        synonyms, retain: words with commas between them.
        preset: of ``config.PRESETS``.
        sensitive: whether words are hidden and pictures blurred; a pack says so itself.
    """

    model: str
    phrase: str = ""
    pack: str = ""
    kind: str = AUTO
    surrogate: str = ""
    synonyms: str = ""
    retain: str = ""
    preset: str = "fast"
    sensitive: bool = False

    @property
    def listed(self) -> Pack | None:
        """The pack that is asked for.

        Raises ``InputError`` where both a pack and a phrase are, or no pack has that name: only
        shipped ones, since a name may come from a visitor.
        """
        if not self.pack:
            return None
        if self.phrase.strip():
            raise InputError(
                f"the pack {self.pack} and {self.phrase.strip()!r} both say what to erase. Empty "
                "one of the two."
            )
        if self.pack not in shipped_packs():
            raise InputError(f"there is no pack {self.pack!r}. Choose one of the list.")
        return load_pack(self.pack)

    @property
    def hidden(self) -> bool:
        """Whether words are hidden and pictures blurred."""
        return self.sensitive or (self.listed is not None and self.listed.sensitive)

    def spec(self) -> EraseConfig:
        """The settings of the erasure.

        Raises ``InputError`` for a form that says nothing, twice, or something that cannot be.

        >>> Request("emoji-sd", " fox ", surrogate="cat").spec().concepts[0].surrogate
        'cat'
        """
        if self.listed is not None:
            return EraseConfig(self.listed.concepts, **preset(self.preset, {}))
        if not self.phrase.strip():
            raise InputError("nothing to erase. Type a concept, such as fox, or choose a pack.")
        concept = Concept(
            self.phrase,
            self.surrogate.strip() or None,
            self.kind,
            synonyms=words_of(self.synonyms),
            retain=words_of(self.retain),
        )
        return EraseConfig((replace(concept, sensitive=self.sensitive),), **preset(self.preset, {}))


def words_of(text: str, between: re.Pattern[str] = BETWEEN) -> tuple[str, ...]:
    """The words or sentences of a field.

    >>> words_of("vixen, reynard"), words_of("a chef, smiling; a cook", SCENES_BETWEEN)
    (('vixen', 'reynard'), ('a chef, smiling', 'a cook'))
    """
    return tuple(word for word in between.split(text.strip()) if word)
