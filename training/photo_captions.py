"""Distils COCO's captions to the package's captions of photographs.

Usage: python training/photo_captions.py CSV [COUNT]

CSV has a column ``prompt`` with sentences of COCO (CC BY 4.0). Short ones are drawn at random,
in lower case and without a full stop. Some of them get a style or an artist, and some a person in
the place of "a man" or "a woman", so that the list names something of every kind. Persons are dead
and in the lexicon.
"""

from __future__ import annotations

import csv
import gzip
import re
import sys
from pathlib import Path
from random import Random

from trace_erasure.concepts.kinds import STYLES
from trace_erasure.concepts.lexicon import load_lexicon

OUT = Path(__file__).parents[1] / "src/trace_erasure/concepts/data/photo_captions.txt.gz"
WORDS = range(5, 13)
STYLED, NAMED = 0.2, 0.5
"""Shares of captions that get a style, and of those about somebody that get a name."""
STYLE_FRAMES = ("{caption}, {style} style", "{caption} in {style} style")
USED_STYLES = (
    "watercolor", "oil painting", "pencil sketch", "pixel art", "cartoon", "anime", "line art",
    "pop art", "art deco", "art nouveau", "comic book", "cubist", "impressionist", "surrealist",
    "charcoal", "pastel", "woodcut", "mosaic", "graffiti", "minimalist", "vintage", "cyberpunk",
    "baroque", "gothic", "low poly", "stained glass", "origami", "neon", "blueprint", "ink",
)  # fmt: skip
ARTISTS = (
    "van Gogh", "Monet", "Picasso", "Rembrandt", "Vermeer", "Hokusai", "Kandinsky", "Matisse",
    "Klimt", "Cezanne", "Degas", "Renoir", "Botticelli", "Caravaggio", "Mondrian", "Munch",
    "Turner", "Gauguin", "Rothko", "Warhol", "Chagall", "Goya", "Titian", "Raphael", "Seurat",
)  # fmt: skip
PEOPLE = (
    "Abraham Lincoln", "Albert Einstein", "Charlie Chaplin", "Elvis Presley", "Marilyn Monroe",
    "Winston Churchill", "Isaac Newton", "Charles Darwin", "Marie Curie", "Mark Twain",
    "Jane Austen", "Napoleon Bonaparte", "George Washington", "Thomas Jefferson",
    "Thomas Edison", "Helen Keller", "Amelia Earhart", "Louis Armstrong", "Humphrey Bogart",
    "Bette Davis", "Cary Grant", "Katharine Hepburn", "Ingrid Bergman", "Greta Garbo",
    "Buster Keaton", "Walt Disney", "Alfred Hitchcock",
    "Duke Ellington", "Frank Sinatra", "John Lennon", "Judy Garland", "Fred Astaire",
    "Clark Gable", "Gary Cooper", "Orson Welles", "John Wayne", "Charles Dickens",
    "Oscar Wilde", "Virginia Woolf", "Ernest Hemingway", "Sigmund Freud", "Nikola Tesla",
)  # fmt: skip
SOMEBODY = re.compile(r"^(?:a|an|the) (?:young |old |older )?(?:man|woman|person|boy|girl|guy)\b")


def plain(caption: str) -> str:
    return " ".join(caption.lower().replace('"', "").split()).rstrip(" .!")


def with_names(caption: str, random: Random) -> str:
    """``caption`` with a person's name, or a style, or neither."""
    if SOMEBODY.match(caption) and random.random() < NAMED:
        return SOMEBODY.sub(random.choice(PEOPLE), caption)
    if random.random() < STYLED:
        style = random.choice(random.choice((USED_STYLES, ARTISTS)))
        return random.choice(STYLE_FRAMES).format(caption=caption, style=style)
    return caption


def main(source: Path, count: int = 3000) -> None:
    lexicon = load_lexicon()
    unknown = [name for name in PEOPLE if not lexicon.is_person(name)]
    assert not unknown and set(USED_STYLES) <= STYLES, unknown
    with source.open(encoding="utf-8", newline="") as file:
        texts = dict.fromkeys(plain(row["prompt"]) for row in csv.DictReader(file))
    short = [text for text in texts if len(text.split()) in WORDS and text.isascii()]
    random = Random(0)
    lines = [with_names(text, random) for text in random.sample(short, count)]
    OUT.write_bytes(gzip.compress("\n".join(lines).encode(), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
