"""Packs: what ships, what files of one's own may hold, and that sensitive words stay unread."""

from __future__ import annotations

import logging
import warnings

import pytest
import yaml

from support.cli import call, fails
from trace_erasure import Concept, Erasure, InputError, erase_pack
from trace_erasure.concepts.masking import digest, masked, words_hidden
from trace_erasure.concepts.pack import Pack, load_pack, shipped_packs
from trace_erasure.errors import FailedErasureWarning
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion

FOX = Concept("fox", "dog", synonyms=("vixen",), sensitive=True)
GOOD = {"name": "mine", "version": 2, "words": ["fox"]}


@pytest.mark.parametrize("name", shipped_packs())
def test_a_shipped_pack_says_what_it_is(name):
    pack = load_pack(name)
    assert pack.name == name
    assert pack.version >= 1
    assert pack.description and pack.source
    phrases = [phrase for concept in pack.concepts for phrase in concept.phrases]
    assert len(phrases) == len({phrase.lower() for phrase in phrases}) >= 12


def test_what_ships():
    assert {name: len(load_pack(name).concepts) for name in shipped_packs()} == {
        "artists": 39,
        "brands": 12,
        "nudity": 1,
        "violence": 1,
        "weapons": 12,
    }
    sensitive = {name for name in shipped_packs() if load_pack(name).sensitive}
    assert sensitive == {"nudity", "violence"}
    for name in sensitive:
        (concept,) = load_pack(name).concepts
        assert concept.sensitive and concept.kind == "explicit"


def write(tmp_path, **changes):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({**GOOD, **changes}))
    return file


def test_a_pack_of_ones_own(tmp_path):
    file = write(tmp_path, kind="style", surrogate="ink", words=["neon", ["sketch", "drawing"]])
    pack = load_pack(file)
    assert pack.title == "mine 2"
    assert pack.concepts == (
        Concept("neon", "ink", "style"),
        Concept("sketch", "ink", "style", synonyms=("drawing",)),
    )
    (one,) = load_pack(
        write(tmp_path, **{"as": "one", "words": ["fox", ["vixen", "tod"]]})
    ).concepts
    assert one.phrases == ("fox", "vixen", "tod")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"version": "two"}, "version is 'two'; allowed: a whole number"),
        ({"version": True}, "version is True; allowed: a whole number"),
        ({"words": "fox"}, "words is 'fox'; allowed: a list"),
        ({"words": []}, r"words is \[\]; allowed: at least one word"),
        ({"words": [3]}, r"words\[0\] is 3; allowed: a word in quotes, or a list"),
        ({"words": ["fox", []]}, r"words\[1\] is \[\]; allowed: a word in quotes"),
        ({"words": [""]}, "the concept is empty"),
        ({"kind": "animal"}, "kind is 'animal'; allowed: object, style"),
        ({"as": "few"}, "as is 'few'; allowed: one or many"),
        ({"sensitive": "yes"}, "sensitive is 'yes'; allowed: true or false"),
        ({"colour": "red"}, "unknown key 'colour'. Allowed: name, version, words"),
        ({"name": " "}, "name is ' '; allowed: a name"),
        ({"surrogate": "fox"}, "concept and surrogate are both 'fox'"),
    ],
)
def test_a_pack_that_is_none_is_refused(changes, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        load_pack(write(tmp_path, **changes))
    assert str(error.value).startswith("pack ")


def test_what_is_missing_is_named(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nversion: 1\n")
    with pytest.raises(InputError, match=r"there is no 'words'\. Add it"):
        load_pack(file)
    file.write_text("[fox]")
    with pytest.raises(InputError, match="the file is"):
        load_pack(file)
    with pytest.raises(InputError, match=r"there is no pack 'wepons'\. Choose one of artists"):
        load_pack("wepons")
    with pytest.raises(InputError, match="there is no file"):
        load_pack(tmp_path / "other.yaml")


def test_words_of_sensitive_concepts_are_masked():
    text = masked("Fox, vixen and foxglove", [FOX])
    assert text == f"{digest('fox')}, {digest('vixen')} and foxglove"
    assert FOX.name == digest("fox")
    plain = Concept("fox")
    assert masked("a fox", [plain]) == "a fox"
    assert plain.name == "fox"


def test_logs_and_messages_have_no_sensitive_words(caplog):
    log = logging.getLogger("trace_erasure")
    with (
        caplog.at_level(logging.INFO, logger="trace_erasure"),
        pytest.raises(InputError, match=f"^{digest('fox')} is bad$"),
        words_hidden([FOX]),
    ):
        log.info("surrogate for %r", "fox")
        raise InputError("fox is bad")
    assert caplog.messages == [f"surrogate for '{digest('fox')}'"]
    log.info("fox again")
    assert not log.filters


def quietly(pack, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FailedErasureWarning)
        return erase_pack(tiny_stable_diffusion(), pack, captions=CAPTIONS, **options)


def test_one_concept_is_erased_and_many_are_merged(tmp_path):
    one = quietly(Pack("one", 3, "", "", (FOX,), sensitive=True))
    assert one.record.kind == "trace"
    assert one.record.title == "Erases: the pack one 3"
    many = (Concept("fox", "dog"), Concept("horse", "dog"))
    both = quietly(Pack("two", 1, "", "", many, sensitive=False), folder=tmp_path)
    assert [concept.phrase for concept in both.record.concepts] == ["fox", "horse"]
    assert both.record.title == "Erases: the pack two 1"
    kept = sorted(file.name for file in tmp_path.iterdir())
    assert kept == ["fox.safetensors", "horse.safetensors"]


def test_the_command_line_erases_a_pack(tmp_path):
    tiny_stable_diffusion().save_pretrained(tmp_path / "tiny")
    file = write(tmp_path, surrogate="dog", sensitive=True, words=[["fox", "vixen"]])
    out = tmp_path / "out"
    asked = ("erase", "--pack", file, "--model", tmp_path / "tiny", "--out", out)
    result = call(*asked, "--force")
    assert result.exit_code == 0, result.output
    assert Erasure.load(out / "mine.safetensors").record.title == "Erases: the pack mine 2"
    shown = call("info", out / "mine.safetensors").output
    assert digest("fox") in result.stdout and digest("fox") in shown
    for text in (result.output, shown):
        assert "fox" not in text and "vixen" not in text
    assert "say what to erase" in fails(call(*asked, "--concept", "fox"))


def test_packs_are_listed_without_sensitive_words():
    shown = " ".join(call("ls", "packs").stdout.split())
    assert "machine gun" in shown and "Greg Rutkowski" in shown
    assert "naked" not in shown
