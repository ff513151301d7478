"""Which kind of concept a phrase names: by capitals, by a list of styles, by the lexicon."""

from __future__ import annotations

from trace_erasure.concepts.lexicon import load_lexicon
from trace_erasure.utils.words import fold

AUTO = "auto"
KINDS = ("object", "style", "identity", "explicit")
STYLES = frozenset(
    (
        "3d render", "abstract", "abstract expressionism", "anime", "art deco", "art nouveau",
        "baroque", "bauhaus", "blueprint", "cartoon", "charcoal", "charcoal drawing", "claymation",
        "comic", "comic book", "concept art", "cubism", "cubist", "cyberpunk", "digital art",
        "etching", "expressionism", "fauvism", "film noir", "flat design", "gothic", "gouache",
        "graffiti", "impressionism", "impressionist", "ink", "isometric", "line art", "low poly",
        "manga", "minimalism", "minimalist", "mosaic", "neon", "oil painting", "origami",
        "paper cut", "pastel", "pencil drawing", "pencil sketch", "photorealism", "pixel art",
        "pointillism", "pop art", "post impressionism", "psychedelic", "renaissance", "rococo",
        "romanticism", "sketch", "stained glass", "steampunk", "street art", "surrealism",
        "surrealist", "ukiyo-e", "vaporwave", "vector art", "vintage", "watercolor", "watercolour",
        "woodcut",
    )
)  # fmt: skip
"""What pictures are made in. Some name a thing, too; see ``only_a_style``."""


def listed_as(kind: str) -> str:
    """The kind that captions have names of: explicit content is listed among the objects."""
    return "object" if kind == "explicit" else kind


def kind_of(phrase: str) -> str:
    """One of ``KINDS`` for ``phrase``: ``style`` for styles that name nothing else, and painters;
    ``identity`` for two or more words in capitals that the lexicon has not for a thing; else
    ``object``.

    >>> kind_of("pixel art"), kind_of("Van Gogh"), kind_of("Mira Solberg"), kind_of("Eiffel Tower")
    ('style', 'style', 'identity', 'object')
    """
    if only_a_style(phrase):
        return "style"
    words = phrase.split()
    if not all(word[:1].isupper() for word in words):
        return "object"
    lexicon = load_lexicon()
    if lexicon.is_person(phrase):
        return "style" if "painter" in lexicon.gloss(phrase) else "identity"
    return "identity" if len(words) > 1 and phrase not in lexicon else "object"


def only_a_style(phrase: str) -> bool:
    """Whether ``phrase`` is a style and no thing: *pixel art*, but not *ink* or *mosaic*."""
    return fold(phrase) in STYLES and not load_lexicon().is_noun(phrase)
