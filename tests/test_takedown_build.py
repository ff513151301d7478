"""Takedown builds on a tiny pipeline: resumable, the same bytes whatever the history, verified."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from support.artifacts import make_erasure
from support.cli import call, fails
from trace_erasure import Concept, Erasure, InputError
from trace_erasure.artifact.record import TraceRecord
from trace_erasure.artifact.verdict import ErasureVerdict
from trace_erasure.pipeline.fingerprint import fingerprint
from trace_erasure.takedown import builder, parts
from trace_erasure.takedown.bases import ModelName, bases, register_base
from trace_erasure.takedown.builder import build
from trace_erasure.takedown.changes import NewRequest, add, withdraw
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.manifest import Merged, contents, name_of, write
from trace_erasure.takedown.products import (
    Artifact,
    Build,
    artifacts,
    builds,
    file_sha256,
    record_artifacts,
    record_build,
)
from trace_erasure.takedown.requests import active, requests
from trace_erasure.takedown.settings import Settings
from trace_erasure.takedown.standing import standings
from trace_erasure.takedown.verification import verify, verify_model
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion

NAME = ModelName("tiny")
FOX, HORSE, RED = (
    NewRequest((Concept(phrase, "dog", templates=("a photo of a {x}",)),))
    for phrase in ("fox", "horse", "red")
)
AT = "2026-01-31"


@pytest.fixture(scope="module")
def pipe():
    return tiny_stable_diffusion()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def ledger(tmp_path):
    return Ledger.create(tmp_path / "takedown.db")


def built(ledger, pipe, name=NAME):
    return build(ledger, pipe, name, captions=CAPTIONS, by="operations", at=AT)


def file_of(ledger, done):
    return ledger.files / done.base.folder / done.build.file


def states(ledger, folder="tiny"):
    return [own[folder] for own in standings(ledger).states.values()]


# What a build gives -----------------------------------------------------------------------


def test_a_build_erases_what_stands_and_says_so(ledger, pipe):
    add(ledger, [FOX, HORSE, RED], by="legal", at=AT)
    withdraw(ledger, [3])
    done = built(ledger, pipe)
    assert (done.concepts, done.made, done.merged) == (2, 2, True)
    merged = Erasure.load(file_of(ledger, done))
    assert [concept.phrase for concept in merged.record.concepts] == ["fox", "horse"]

    folder = ledger.files / "tiny"
    said = json.loads((folder / done.build.manifest).read_text("utf-8"))
    assert said["merged"]["sha256"] == file_sha256(file_of(ledger, done))
    assert said["base"]["fingerprint"] == fingerprint(pipe)
    assert said["versions"] == merged.record.versions
    assert (said["built_by"], said["built_at"]) == ("operations", "2026-01-31T00:00:00+00:00")
    assert [request["id"] for request in said["requests"]] == [1, 2]
    for one, request in zip(said["concepts"], (FOX, HORSE), strict=True):
        assert one["concept"]["phrase"] == request.concepts[0].phrase
        file = ledger.files / one["artifact"]["file"]
        assert one["artifact"]["sha256"] == file_sha256(file)
        record = Erasure.load(file).record.to_dict()
        assert (one["report"], one["verdict"]) == (record["certificate"], record["verdict"])
    assert states(ledger) == ["erased", "erased", "withdrawn"]
    assert verify(ledger).problems == ()
    assert {file.name for file in verify(ledger).files} == {
        file.name for file in folder.rglob("*") if file.is_file()
    }


def test_after_a_change_only_what_is_new_is_made(ledger, pipe):
    add(ledger, [FOX])
    first = built(ledger, pipe)
    again = built(ledger, pipe)
    assert (again.made, again.merged, again.build) == (0, False, first.build)

    add(ledger, [HORSE])
    assert states(ledger) == ["erased", "waiting"]
    assert not standings(ledger).up_to_date("tiny")
    more = built(ledger, pipe)
    assert (more.made, more.merged) == (1, True)
    withdraw(ledger, [2])
    assert states(ledger) == ["erased", "leaving"]
    less = built(ledger, pipe)
    assert (less.made, less.merged) == (0, True)
    assert less.build.sha256 == first.build.sha256
    assert states(ledger) == ["erased", "withdrawn"]
    # Of merged files, the last two stay; erasures of single concepts all do.
    left = {file.name for file in (ledger.files / "tiny").glob("erasure-*")}
    assert left == {more.build.file, less.build.file}
    assert len(list((ledger.files / "tiny" / "parts").iterdir())) == 2


def test_a_withdrawn_request_leaves_no_trace_in_the_bytes(ledger, pipe, tmp_path):
    add(ledger, [RED, FOX, HORSE])
    built(ledger, pipe)
    withdraw(ledger, [1])
    after = built(ledger, pipe)
    never = Ledger.create(tmp_path / "never.db")
    add(never, [HORSE, FOX])
    assert file_of(never, built(never, pipe)).read_bytes() == file_of(ledger, after).read_bytes()


def test_a_second_request_for_a_concept_changes_the_manifest_alone(ledger, pipe):
    add(ledger, [replace(FOX, reference="T-1")])
    first = built(ledger, pipe)
    add(ledger, [replace(FOX, reference="T-2")])
    second = built(ledger, pipe)
    assert not second.merged and second.build.sha256 == first.build.sha256
    assert second.build.manifest != first.build.manifest
    withdraw(ledger, [1])
    assert states(ledger) == ["withdrawn", "erased"]  # the other request still asks for it


def test_nothing_that_stands_is_no_file(ledger, pipe):
    add(ledger, [FOX])
    built(ledger, pipe)
    withdraw(ledger, [1])
    done = built(ledger, pipe)
    assert (done.build.file, done.concepts) == (None, 0)
    said = json.loads((ledger.files / "tiny" / done.build.manifest).read_text("utf-8"))
    assert said["merged"] is None and said["concepts"] == []
    assert verify(ledger).problems == ()


def test_settings_of_the_ledger_reach_every_erasure(tmp_path, pipe):
    ledger = Ledger.create(tmp_path / "seeded.db", Settings(seed=7))
    add(ledger, [FOX])
    built(ledger, pipe)
    (artifact,) = artifacts(ledger, bases(ledger)[0]).values()
    record = Erasure.load(ledger.files / artifact.file).record
    assert isinstance(record, TraceRecord) and record.asked.seed == 7


def test_several_models_have_files_of_their_own(ledger, pipe):
    add(ledger, [FOX])
    other = tiny_stable_diffusion(seed=1)
    first = built(ledger, pipe, ModelName("Tiny-SD 1.5"))
    second = built(ledger, other, ModelName("other/tiny-sd 1.5"))
    assert [base.folder for base in bases(ledger)] == [first.base.folder, second.base.folder]
    assert first.base.folder == "tiny-sd-1-5"
    assert re.fullmatch("tiny-sd-1-5-[0-9a-f]{12}", second.base.folder)
    assert verify(ledger).problems == ()
    assert verify_model(first.base, pipe) is None
    problem = verify_model(first.base, other)
    assert problem and "another model than the files were made on" in problem.problem


def test_a_model_is_known_by_its_weights_and_a_name_by_its_last_model(ledger, pipe):
    found, other = fingerprint(pipe), fingerprint(tiny_stable_diffusion(seed=1))
    first = register_base(ledger, NAME, "stable-diffusion", found)
    moved = register_base(ledger, ModelName("moved", "v2"), "stable-diffusion", found)
    assert (moved.id, moved.name) == (first.id, ModelName("moved", "v2"))
    changed = register_base(ledger, ModelName("moved", "v2"), "stable-diffusion", other)
    assert changed.id != first.id
    assert [base.id for base in bases(ledger)] == [changed.id]
    register_base(ledger, ModelName("moved", "v2"), "stable-diffusion", found)  # put back
    assert [base.id for base in bases(ledger)] == [first.id]


# Interruptions ----------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for kill -9: nothing of ours catches it."""


@pytest.mark.parametrize(
    "place",
    ["parts.record_artifacts", "builder.merge", "builder.record_build", "builder._prune"],
)
def test_a_build_that_is_killed_leaves_the_last_one_and_goes_on(ledger, pipe, place, monkeypatch):
    add(ledger, [FOX])
    first = built(ledger, pipe)
    add(ledger, [HORSE])

    def kill(*_, **__):
        raise Killed

    module, name = place.split(".")
    with monkeypatch.context() as patch:
        patch.setattr({"parts": parts, "builder": builder}[module], name, kill)
        with pytest.raises(Killed):
            built(ledger, pipe)
    assert verify(ledger).problems == ()
    assert file_of(ledger, first).is_file()
    kept = {file: file.stat().st_mtime_ns for file in (ledger.files / "tiny" / "parts").iterdir()}
    assert len(kept) == 2

    done = built(ledger, pipe)
    assert states(ledger) == ["erased", "erased"]
    assert verify(ledger).problems == ()
    assert {file: file.stat().st_mtime_ns for file in kept} == kept  # none is made twice
    assert [c.phrase for c in Erasure.load(file_of(ledger, done)).record.concepts] == [
        "fox",
        "horse",
    ]


def test_requests_that_come_and_go_during_a_build_count(ledger, pipe, monkeypatch):
    add(ledger, [FOX, RED])
    make_one = parts.make_one

    def meanwhile(*arguments, **options):
        monkeypatch.setattr(parts, "make_one", make_one)
        add(ledger, [HORSE])
        withdraw(ledger, [2])
        return make_one(*arguments, **options)

    monkeypatch.setattr(parts, "make_one", meanwhile)
    built(ledger, pipe)
    assert states(ledger) == ["erased", "withdrawn", "erased"]


def test_concepts_that_cannot_be_erased_are_named_and_the_others_made(ledger, pipe):
    endless = NewRequest((Concept("q" * 99, "dog"),))
    add(ledger, [FOX, endless, HORSE])
    with pytest.raises(InputError, match=r"1 of 3 concepts cannot .*'q+' \(request 2\): "):
        built(ledger, pipe)
    assert len(artifacts(ledger, bases(ledger)[0])) == 2
    withdraw(ledger, [2])
    assert built(ledger, pipe).made == 0


# Verification -----------------------------------------------------------------------------


def test_nothing_built_is_nothing_to_verify(ledger):
    with pytest.raises(InputError, match="nothing was built"):
        verify(ledger)


@pytest.mark.parametrize("pattern", ["erasure-*", "manifest-*", "parts/*"])
def test_a_file_that_was_changed_or_lost_is_named(ledger, pipe, pattern):
    add(ledger, [FOX])
    first = built(ledger, pipe)
    (file,) = (ledger.files / "tiny").glob(pattern)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (problem,) = verify(ledger).problems
    assert problem.what == str(file) and "it was changed" in problem.problem
    if pattern == "parts/*":
        with pytest.raises(InputError, match=r"parts.* was changed since it was made"):
            built(ledger, pipe)
    file.unlink()
    (problem,) = verify(ledger).problems
    assert problem.what == str(file) and "No such file" in problem.problem

    again = built(ledger, pipe)
    assert file_of(ledger, again).read_bytes() == file_of(ledger, first).read_bytes()
    assert verify(ledger).problems == ()


def test_files_of_another_model_are_named(ledger, pipe):
    base = register_base(ledger, NAME, "stable-diffusion", fingerprint(pipe))
    add(ledger, [FOX])
    other = fingerprint(tiny_stable_diffusion(seed=1))
    a_thousand_parts(ledger, base, make_erasure(pipe, base=other))
    problems = verify(ledger).problems
    assert {one.what for one in problems} == {str(ledger.files / "tiny" / "same.safetensors")}
    assert "it was made on another model than tiny" in problems[0].problem


def test_a_thousand_requests_with_fifty_withdrawn_verify(ledger, pipe):
    base = register_base(ledger, NAME, "stable-diffusion", fingerprint(pipe))
    numbers = add(ledger, [NewRequest((Concept(f"thing {i}"),)) for i in range(1000)])
    withdraw(ledger, numbers[::20])
    said = a_thousand_parts(ledger, base, make_erasure(pipe))
    assert len(said["concepts"]) == len(said["requests"]) == 950
    assert verify(ledger).problems == ()
    found = states(ledger)
    assert found.count("erased") == 950 and found.count("withdrawn") == 50


def a_thousand_parts(ledger, base, erasure):
    """Notes one file as every standing concept's erasure, and a build; what its manifest says."""
    folder = ledger.files / base.folder
    folder.mkdir(parents=True)
    file = erasure.save(folder / "same")
    path, digest = f"{base.folder}/{file.name}", file_sha256(file)
    listed = requests(ledger)
    parts_of = [Artifact(0, n, c, str(n), path, digest) for n, c in active(listed).items()]
    record_artifacts(ledger, base, parts_of, None, AT)
    made = list(artifacts(ledger, base).values())
    said = contents(base, ledger.settings, listed, made, Merged(file.name, digest), {})
    text, text_digest = write(folder, said, None, AT)
    done = Build("inputs", name_of(said), file.name, digest, text, text_digest, None, AT)
    record_build(ledger, base, done, made)
    assert builds(ledger, base, 1)[0].concepts == active(listed).keys()
    return said


# The command line -------------------------------------------------------------------------


def test_the_verbs_from_init_to_verify(pipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trace_erasure.concepts.captions.photo_captions", lambda: CAPTIONS)
    pipe.save_pretrained("tiny")
    (tmp_path / "list.csv").write_text("concept,surrogate\nfox,dog\nhorse,dog\n", "utf-8")

    def done(*words):
        result = call("takedown", *words)
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "an empty ledger" in done("init", "--by", "legal")
    assert done("add", "list.csv", "--by", "legal") == "request 1: fox\nrequest 2: horse\n"
    done("build", "--model", "tiny", "--quiet", "--at", AT)
    assert done("withdraw", 2, "--reason", "settled") == "request 2 is withdrawn: horse\n"
    assert "leaving" in done("status")
    assert "1 concepts, 0 of them made now" in done("build", "--all-bases")
    assert "3 files; no model was loaded: all as the ledger says" in done("verify")
    assert "3 files and 1 models: all as the ledger says" in done("verify", "--all-bases")

    data = json.loads(done("status", "--json"))
    assert [request["states"] for request in data["requests"]] == [
        {"tiny": "erased"},
        {"tiny": "withdrawn"},
    ]
    (model,) = data["models"]
    assert model["up_to_date"] and model["model"] == str(tmp_path / "tiny")
    merged = tmp_path / model["folder"] / model["file"]
    assert file_sha256(merged) == model["sha256"]

    merged.write_bytes(merged.read_bytes()[:-1])
    assert merged.name in fails(call("takedown", "verify"), 1)


def test_an_erasure_that_failed_is_merged_and_said(ledger, pipe, monkeypatch):
    make_one = parts.make_one

    def failing(*arguments):
        made = make_one(*arguments)
        word = "failed" if made.record.concepts[0].phrase == "fox" else "good"
        verdict = ErasureVerdict(word=word, why=("it is a test",))
        return replace(made, record=made.record.model_copy(update={"verdict": verdict}))

    monkeypatch.setattr(parts, "make_one", failing)
    monkeypatch.setattr("trace_erasure.pipeline.loading.load_pipeline", lambda *_, **__: pipe)
    monkeypatch.setattr("trace_erasure.concepts.captions.photo_captions", lambda: CAPTIONS)
    add(ledger, [FOX, HORSE])
    options = ("--ledger", ledger.path)
    message = fails(call("takedown", "build", "--model", "tiny", "--quiet", *options), 3)
    assert "erased too little by the figures: fox on tiny." in message
    shown = call("takedown", "status", *options).stdout
    assert re.search(r"^1 +fox +.*erased, failed *$", shown, re.MULTILINE)
    assert re.search(r"^2 +horse +[^,]*erased *$", shown, re.MULTILINE)
    data = json.loads(call("takedown", "status", "--json", *options).stdout)
    assert data["requests"][0]["artifacts"][0]["verdict"]["why"] == ["it is a test"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["add"], "nothing to add. Give --concept fox, or a list"),
        (["add", "list.csv", "--concept", "fox"], "list.csv says what to erase"),
        (["build"], "say which models: --model NAME, repeatable, or --all-bases"),
        (["build", "--model", "a", "--all-bases"], "say which models"),
        (["build", "--all-bases"], "was not built for any model yet. Give --model"),
        (["build", "--all-bases", "--revision", "x"], "go with --model"),
        (["withdraw", "1"], "the ledger has no request 1; it has none yet"),
        (["verify"], "nothing was built for takedown.db yet"),
        (["status", "--ledger", "none.db"], "there is no ledger none.db"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_options_are_one_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Ledger.create("takedown.db")
    assert message in fails(call("takedown", *words))
