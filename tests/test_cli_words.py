"""Words on the command line and in spec files: what is erased with a concept, and what it is held
against."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.support.cli import call, fails
from trace_erasure import Concept, EraseConfig, InputError
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.cli.selection import Words
from trace_erasure.config_file import RunConfig, parse_config, read_captions, to_yaml
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_stable_diffusion().save_pretrained(folder)
    return folder


@pytest.fixture
def captions(tmp_path):
    file = tmp_path / "captions.txt"
    file.write_text("\n\n".join(CAPTIONS) + "\n", "utf-8")
    return file


def test_words_come_from_options(model, captions, tmp_path):
    result = call(
        "erase", "--model", model, "--concept", "foxes", "--synonym", "tod", "--retain", "wolf",
        "--description", "a red animal", "--surrogate", "dog", "--captions", captions,
        "--out", tmp_path / "out", "--force", "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    record: Any = Erasure.load(tmp_path / "out" / "foxes.safetensors").record
    (fox,) = record.concepts
    assert fox.phrase == "fox" and "tod" in fox.synonyms and "wolf" in fox.retain
    assert "red animal" in fox.descriptions and "a picture of a wolf" in record.retain
    assert record.captions["list"] == "given" and record.captions["count"] == len(CAPTIONS)
    written = yaml.safe_load((tmp_path / "out" / "foxes.yaml").read_text("utf-8"))
    assert written["captions"] == str(captions) and written["search"] == "words"


def test_the_kind_follows_from_the_words():
    kinds = [c.kind for c in Words(["fox", "pixel art", "Mira Solberg"]).concepts()]
    assert kinds == ["object", "style", "identity"]
    assert Words(["ink"], kind="style").concepts() == (Concept("ink", kind="style"),)


def test_words_of_one_among_several_concepts_are_refused():
    for option in ("synonym", "description", "retain"):
        given: Any = {option: ["x"]}
        with pytest.raises(InputError, match=f"--{option} does not say which of 2"):
            Words(["fox", "cat"], **given).concepts()


def test_words_and_a_spec_are_not_given_together(tmp_path):
    spec = tmp_path / "run.yaml"
    spec.write_text("{model: emoji-sd, concepts: [fox]}", "utf-8")
    message = fails(call("erase", spec, "--synonym", "tod"))
    assert "--synonym and" in message and "Give one of them" in message


def test_a_spec_names_captions_and_search(tmp_path):
    run = parse_config("{model: m, concepts: [fox], captions: c.txt, search: network}")
    assert run == RunConfig("m", EraseConfig((Concept("fox"),), search="network"), "c.txt")
    assert parse_config(to_yaml(run)) == run
    with pytest.raises(InputError, match="captions is 3; allowed: text"):
        parse_config("{model: m, concepts: [fox], captions: 3}")
    with pytest.raises(InputError, match="search is 'web'"):
        parse_config("{model: m, concepts: [fox], search: web}")
    with pytest.raises(InputError, match="there is no file"):
        read_captions(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("\n \n", "utf-8")
    with pytest.raises(InputError, match="has no captions"):
        read_captions(tmp_path / "empty.txt")


def test_doubtful_names_end_with_one_line_and_no_file(tmp_path):
    out = tmp_path / "out"
    for name, fix in (("foxx", "did you mean 'fox'"), ("fox and cat", "--concept fox --concept")):
        assert fix in fails(call("erase", "--concept", name, "--out", out, "--quiet"))
    assert not out.exists() or not list(out.iterdir())
