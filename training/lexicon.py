"""Distils WordNet 3.0 to the word list that ships with the package.

Usage: python training/lexicon.py [FOLDER]      (Debian: apt-get install wordnet-base)

Nouns keep their synonyms, hypernyms, order of senses, counts and glosses. Of adjectives, verbs and
adverbs only the words are kept, and which adjectives are colours, sizes or numbers. Left out are
names of places and other single things, and Latin names of species.

Writes ``wordnet.txt.gz``, in sections (see ``trace_erasure.concepts.lexicon``), ``glosses.txt.xz``,
a line a synset, and the licence.
"""

from __future__ import annotations

import gzip
import lzma
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OUT = Path(__file__).parents[1] / "src/trace_erasure/concepts/data"
LICENCE = "/usr/share/doc/wordnet-base/copyright"
GLOSS = 110
"""Characters of a gloss that are kept, to the last whole word."""
NAMED = {"06", "18"}
"""Lexicographer files, artefacts and persons, whose single things are kept."""
DRAWN = {"03", "05", "06", "08", "13", "17", "18", "19", "20", "25", "27"}
"""Lexicographer files of what can be seen, whose glosses are kept."""
HEADS = {"colour": ("chromatic", "achromatic"), "size": ("large", "small"), "number": ("cardinal",)}
SIZES = ("tall", "short", "long", "wide", "narrow", "thick", "thin", "high", "low", "deep", "fat")


@dataclass(frozen=True)
class Synset:
    """A meaning: its file, words, hypernyms by their offsets, gloss; whether of a single thing."""

    offset: str
    file: str
    words: tuple[str, ...]
    hypernyms: tuple[str, ...]
    gloss: str
    single: bool


def synsets(file: Path) -> Iterator[Synset]:
    for line in file.read_text("utf-8").splitlines():
        if line.startswith("  "):
            continue
        head, _, gloss = line.partition(" | ")
        parts = head.split()
        count = int(parts[3], 16)
        words = [re.sub(r"\(\w+\)$", "", word) for word in parts[4 : 4 + 2 * count : 2]]
        rest = parts[5 + 2 * count :]
        links = list(zip(rest[::4], rest[1::4], strict=False))
        above = tuple(target for kind, target in links if kind in ("@", "@i"))
        single = any(kind == "@i" for kind, _ in links)
        text = tuple(word.replace("_", " ") for word in words)
        yield Synset(parts[0], parts[1], text, above, shortened(gloss), single)


def shortened(gloss: str) -> str:
    """The definition without its examples, not too long."""
    text = re.split(r'; "', gloss.strip())[0]
    return text if len(text) <= GLOSS else text[:GLOSS].rsplit(" ", 1)[0]


def is_latin(word: str, file: str) -> bool:
    """Whether ``word`` is the scientific name of an animal or a plant."""
    return file in ("05", "20") and bool(re.fullmatch(r"[A-Z][a-z]+(?: [a-z-]+)+", word))


def modifiers(file: Path) -> dict[str, list[str]]:
    """Adjectives that are colours, sizes and numbers: the words near a head, itself included."""
    found: dict[str, set[str]] = {kind: set() for kind in HEADS}
    heads: dict[str, str] = {}
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("  ")]
    for line in lines:
        parts = line.split()
        first = re.sub(r"\(\w+\)$", "", parts[4])
        for kind, names in HEADS.items():
            if parts[2] == "a" and first in names:
                heads[parts[0]] = kind
    for line in lines:
        parts = line.partition(" | ")[0].split()
        count = int(parts[3], 16)
        rest = parts[5 + 2 * count :]
        near = {t for k, t in zip(rest[::4], rest[1::4], strict=False) if k == "&"}
        words = [re.sub(r"\(\w+\)$", "", w).lower() for w in parts[4 : 4 + 2 * count : 2]]
        for offset in {parts[0], *near} & heads.keys():
            found[heads[offset]].update(word.replace("_", " ") for word in words)
    found["size"].update(SIZES)
    return {kind: sorted(words) for kind, words in found.items()}


def words_of(file: Path) -> list[str]:
    """Single words of an index, in lower case."""
    lines = file.read_text("utf-8").splitlines()
    found = {line.split()[0].lower() for line in lines if not line.startswith("  ")}
    return sorted(word for word in found if word.isalpha())


def counts(file: Path) -> dict[str, int]:
    """How often each noun stands in WordNet's tagged texts."""
    found: dict[str, int] = {}
    for line in file.read_text("utf-8").splitlines():
        key, _, count = line.split()
        word, _, sense = key.partition("%")
        if sense.startswith("1:"):
            name = word.replace("_", " ")
            found[name] = found.get(name, 0) + int(count)
    return found


def main(folder: Path) -> None:
    kept, place = [], {}
    for one in synsets(folder / "data.noun"):
        words = tuple(word for word in one.words if not is_latin(word, one.file)) or one.words
        if not one.single or one.file in NAMED:
            place[one.offset] = len(kept)
            kept.append(Synset(one.offset, one.file, words, one.hypernyms, one.gloss, one.single))
    nouns = []
    for one in kept:
        above = ",".join(str(place[offset]) for offset in one.hypernyms if offset in place)
        nouns.append(f"{'|'.join(one.words)}\t{one.file}{'i' if one.single else ''}\t{above}")
    senses = []
    for line in (folder / "index.noun").read_text("utf-8").splitlines():
        if not line.startswith("  "):
            parts = line.split()
            own = [str(place[o]) for o in parts[-int(parts[2]) :] if o in place]
            if len(own) > 1:
                senses.append(f"{parts[0].replace('_', ' ')}\t{','.join(own)}")
    plurals = [
        f"{plural.replace('_', ' ')}\t{singular.replace('_', ' ')}"
        for plural, singular, *_ in map(str.split, (folder / "noun.exc").open(encoding="utf-8"))
    ]
    often = [f"{word}\t{count}" for word, count in counts(folder / "cntlist.rev").items()]
    sections = {"nouns": nouns, "senses": senses, "plurals": plurals, "counts": often}
    sections["adjectives"] = words_of(folder / "index.adj")
    sections["others"] = sorted({*words_of(folder / "index.verb"), *words_of(folder / "index.adv")})
    sections |= modifiers(folder / "data.adj")
    text = "\f".join(f"{name}\n" + "\n".join(lines) for name, lines in sections.items())
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "wordnet.txt.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    glosses = "\n".join(one.gloss if one.file in DRAWN else "" for one in kept)
    (OUT / "glosses.txt.xz").write_bytes(lzma.compress(glosses.encode(), preset=9))
    licence = Path(LICENCE).read_text("utf-8").partition("Files: debian/*")[0]
    own = "\n".join(line.removeprefix(" ").rstrip() for line in licence.splitlines())
    (OUT / "WORDNET-LICENSE.txt").write_text(own.replace("\n.\n", "\n\n").strip() + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/wordnet"))
