"""The studio without a browser, and without Gradio."""

from __future__ import annotations

import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from support.cli import call, fails
from trace_erasure import Concept, Erasure
from trace_erasure.artifact.verdict import ErasureVerdict
from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.errors import InputError
from trace_erasure.guarantees.oracle_forecast import OracleForecast, WindowForecast
from trace_erasure.guarantees.preview import Preview
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.studio import serve, wording
from trace_erasure.studio.access import PASSWORD, Access, read_password
from trace_erasure.studio.bench import Bench
from trace_erasure.studio.download import tools_for, write_download
from trace_erasure.studio.handlers import FORM, Handlers
from trace_erasure.studio.hints import hint
from trace_erasure.studio.job import Job, Step, StoppedError
from trace_erasure.studio.ledger import ledger_tables
from trace_erasure.studio.pictures import Album, Shot, grid, neighbours_of, shots_of
from trace_erasure.studio.request import Request
from trace_erasure.studio.session import Session
from trace_erasure.studio.trial import try_attack
from trace_erasure.takedown.changes import NewRequest, add
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.testing import tiny_erasure, tiny_stable_diffusion
from trace_erasure.utils.progress import progress

PICTURE = Image.new("RGB", (8, 8))
QUICK = Sampling(steps=2, guidance_scale=2.0)


# Who may come in ------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_this_machine_needs_no_password(host):
    assert not Access(host).public


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "studio.example"])
def test_a_public_address_needs_a_password(host):
    with pytest.raises(InputError, match=f"{PASSWORD}.*--password-file"):
        Access(host)
    assert Access(host, password="long enough it is").login == ("studio", "long enough it is")


def test_a_public_link_needs_a_password():
    with pytest.raises(InputError, match="public link"):
        Access(share=True)


def test_short_passwords_and_odd_ports_are_refused():
    with pytest.raises(InputError, match="12 or more"):
        Access(password="secret")
    with pytest.raises(InputError, match="1024 to 65535"):
        Access(port=80)


def test_the_password_comes_from_a_file_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(PASSWORD, "of the environment")
    assert read_password(None) == "of the environment"
    file = tmp_path / "password"
    file.write_text("of the file\nand more\n", "utf-8")
    assert read_password(file) == "of the file"
    file.write_text("\n", "utf-8")
    with pytest.raises(InputError, match="is empty"):
        read_password(file)
    with pytest.raises(InputError, match="cannot read"):
        read_password(tmp_path / "missing")


def test_without_gradio_the_command_to_install_is_named(monkeypatch):
    monkeypatch.setattr(serve.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'trace-erasure[studio]'" in fails(call("studio"))


def test_a_public_studio_is_refused_before_anything_else(monkeypatch):
    monkeypatch.delenv(PASSWORD, raising=False)
    assert "password" in fails(call("studio", "--host", "0.0.0.0"))


@pytest.mark.slow
def test_no_module_of_the_studio_loads_gradio():
    code = (
        "import pkgutil, importlib, sys, trace_erasure.studio as s\n"
        "for m in pkgutil.iter_modules(s.__path__):\n"
        "    importlib.import_module(f'{s.__name__}.{m.name}')\n"
        "import trace_erasure.cli\n"
        "print('gradio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# What is asked --------------------------------------------------------------------------------


def test_a_form_becomes_settings():
    form = Request(
        "m", " the fox ", synonyms="vixen, reynard;tod", retain="wolf", preset="hardened"
    )
    spec = form.spec()
    (concept,) = spec.concepts
    assert concept == Concept("fox", synonyms=("vixen", "reynard", "tod"), retain=("wolf",))
    assert spec.hardening == "closed_form"
    assert not form.hidden and Request("m", "fox", sensitive=True).hidden


def test_a_pack_says_itself_whether_it_is_sensitive():
    assert Request("m", pack="nudity").hidden
    assert not Request("m", pack="weapons").hidden
    assert Request("m", pack="weapons").spec().concepts[0].phrase == "gun"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (Request("m"), "nothing to erase"),
        (Request("m", "fox", pack="weapons"), "both say what to erase"),
        (Request("m", pack="/etc/hostname.yaml"), "there is no pack"),
        (Request("m", "fox", kind="animal"), "unknown concept kind"),
    ],
)
def test_a_form_that_cannot_be_is_one_message(form, said):
    with pytest.raises(InputError, match=said):
        form.spec()


def test_words_are_completed_spelt_and_explained():
    assert "fox terrier" in hint("fox").words
    assert hint("fox").text.startswith("object: alert carnivorous mammal")
    assert hint("foxx").words == ("fox",) and "Did you mean" in hint("foxx").text
    assert hint("foxes").words[0] == "fox"
    assert hint("van g").words == ("Van Gogh",)
    assert hint("f").words == () and hint("f").text == ""
    assert "style" in hint("Van Gogh").text


# The bench ------------------------------------------------------------------------------------


def test_a_closed_bench_offers_a_list_alone():
    bench = Bench(("mine",), closed=True)
    assert bench.choices[0] == "mine"
    bench.check("mine")
    with pytest.raises(InputError, match="is not offered here"):
        bench.check("someone/else")
    Bench().check("someone/else")


def test_one_model_is_on_the_bench_at_a_time(tmp_path):
    for name in ("one", "two"):
        tiny_stable_diffusion().save_pretrained(tmp_path / name)
    bench = Bench()
    one = bench.pipeline(str(tmp_path / "one"))
    assert bench.pipeline(str(tmp_path / "one")) is one
    assert bench.pipeline(str(tmp_path / "two")) is not one
    with pytest.raises(InputError, match="there is no model"):
        bench.pipeline("nowhere")
    assert bench.pipeline(str(tmp_path / "one")) is not one


# Jobs -----------------------------------------------------------------------------------------


def test_a_job_says_how_far_it_is_and_hands_over_what_came_of_it():
    turn = threading.Event()

    def work() -> int:
        for number in progress(range(3), desc="counting"):
            if number == 2:
                turn.wait(5)
        return 7

    job = Job(work, "beginning")
    seen = []
    for step in job.steps():
        seen.append((step.what, step.done, step.total))
        if step.done == 2:
            turn.set()
    assert seen[-1] == ("counting", 3, 3) and ("counting", 2, 3) in seen
    assert job.result() == 7


def test_a_stopped_job_ends_at_its_next_step():
    began = threading.Event()

    def work() -> None:
        for _ in progress(range(10**9), desc="for ever"):
            began.set()

    job = Job(work)
    for _ in job.steps():
        if began.is_set():
            job.stop()
    with pytest.raises(StoppedError, match="model is as it was"):
        job.result()


def test_a_page_that_is_closed_stops_its_job():
    began = threading.Event()

    def work() -> None:
        for _ in progress(range(10**9), desc="for ever"):
            began.set()

    job = Job(work)
    steps = job.steps()
    next(steps)
    began.wait(5)
    steps.close()
    with pytest.raises(StoppedError):
        job.result()


def test_mistakes_of_the_work_come_out_of_the_job():
    def work() -> None:
        raise InputError("no")

    job = Job(work)
    list(job.steps())
    with pytest.raises(InputError, match="no"):
        job.result()


# Pictures -------------------------------------------------------------------------------------


def test_pictures_of_one_concept_and_of_many():
    fox = Concept("fox", "cat")
    one = shots_of([fox], 4)
    assert len(one) == 4 and len(set(one)) == 4 and {shot.seed for shot in one} == {0, 1}
    many = shots_of([fox, Concept("horse", "dog"), Concept("owl", "dog")], 2)
    assert [shot.prompt for shot in many] == ["fox", "horse"]
    assert neighbours_of(["a", "b", "c"], 2) == [Shot("a"), Shot("b")]


def test_pictures_before_are_drawn_once_and_strength_counts(monkeypatch):
    import trace_erasure.studio.pictures as pictures

    pipe, erasure = tiny_erasure()
    drawn = []
    real = pictures.generate_batches

    def counted(pipe, prompts, *args, **options):
        drawn.extend(prompts)
        return real(pipe, prompts, *args, **options)

    monkeypatch.setattr(pictures, "generate_batches", counted)
    album, shots = Album(), [Shot("a picture of a fox", 1)]
    ((before, after),) = album.pairs(pipe, "tiny", erasure, shots, QUICK)
    ((same, off),) = album.pairs(pipe, "tiny", erasure, shots, QUICK, weight=0.0)
    assert off is not None and after is not None
    assert same is before and off.tobytes() == before.tobytes() != after.tobytes()
    assert len(drawn) == 3  # before, after, at strength 0
    assert not hasattr(pipe.unet, "peft_config") or erasure.name not in pipe.unet.peft_config


def test_pictures_are_shown_as_they_come(monkeypatch):
    monkeypatch.setattr("trace_erasure.studio.pictures.BATCH", 1)
    pipe, erasure = tiny_erasure()
    shots, seen = [Shot("a fox"), Shot("a fox", 1)], []
    pairs = Album().pairs(pipe, "tiny", erasure, shots, QUICK, seen=seen.append)
    counts = [(len(some), sum(after is not None for _, after in some)) for some in seen]
    assert counts == [(1, 0), (2, 0), (2, 1), (2, 2)]
    assert seen[-1] == pairs and seen[0][0][0] is pairs[0][0]
    html = wording.grid_html(grid("x", shots, seen[2], [], hidden=False))
    assert html.count("<figure>") == 2 and html.count("<img") == 3


def test_sensitive_pictures_are_blurred_and_their_words_masked():
    pipe, erasure = tiny_erasure()
    shots = [Shot("a picture of a fox")]
    pairs = Album().pairs(pipe, "tiny", erasure, shots, QUICK)
    secret = [Concept("fox", "cat", sensitive=True)]
    html = wording.grid_html(grid("x", shots, pairs, secret, hidden=True))
    assert 'class="zoom veil"' in html and "fox" not in html and "#776cb326" in html
    assert "veil" not in wording.grid_html(grid("x", shots, pairs, [], hidden=False))


def test_an_attack_shows_its_tries_and_leaves_the_model_as_it_was():
    pipe, erasure = tiny_erasure()
    found = try_attack(pipe, "tiny", erasure, "typo", Shot("a picture of a fox"), QUICK, False)
    assert len(found.grid.cards) == 6 and found.recognised is None
    assert all("fox" not in card.caption.split() for card in found.grid.cards)
    assert "Nobody judges" in wording.trial_html(found)
    with pytest.raises(InputError, match="no attack by prompts"):
        try_attack(pipe, "tiny", erasure, "p4d", Shot("a fox"), QUICK, False)
    erasure.attach(pipe)  # raises where the attack has left it on


def test_downloads_are_what_tools_read(tmp_path):
    _, erasure = tiny_erasure()
    assert tools_for("stable-diffusion")[0] == "diffusers"
    assert tools_for("wan") == ["diffusers", "peft"]
    file = write_download(erasure, "diffusers", tmp_path)
    assert file.name == "no-fox-diffusers.safetensors" and Erasure.load(file).name == erasure.name
    packed = write_download(erasure, "peft", tmp_path)
    assert set(zipfile.ZipFile(packed).namelist()) >= {"adapter_config.json"}


# Words ----------------------------------------------------------------------------------------


def test_every_verdict_has_its_words():
    for word in wording.VERDICTS:
        verdict = ErasureVerdict(word=word, why=("<because>",), advice=("do this",))
        html = wording.verdict_html(verdict)
        assert wording.VERDICTS[word] in html
        assert "&lt;because&gt;" in html and "do this" in html
    assert "No verdict" in wording.verdict_html(None)


def test_a_preview_says_what_goes_along_and_what_suffers():
    fox = ResolvedConcept("fox", surrogate="cat", synonyms=("vixen",))
    spec = Request("m", "fox").spec()
    html = wording.preview_html(Preview(spec, (fox,), ("a dog",), 9, (("wolf", 0.25),), None))
    assert "<b>fox</b> becomes <b>cat</b>" in html and "vixen" in html
    assert "a dog" in html and "wolf" in html and "25%" in html
    secret = replace(fox, sensitive=True)
    hidden = wording.preview_html(Preview(spec, (secret,), (), 9, None, None))
    assert "vixen" not in hidden and "fox" not in hidden and "1 words more" in hidden


def test_progress_has_a_bar_where_the_end_is_known():
    step = Step("images", 2, 8, 3.2, ("captions: mine",))
    html = wording.progress_html(step)
    assert 'value="2" max="8"' in html and "captions: mine" in html and "3 s" in html
    assert "max=" not in wording.progress_html(Step("loading"))
    assert "left" not in html
    assert "about 7 s left" in wording.progress_html(Step("images", 2, 8, 3.2, left=7.1))
    assert "about 5 min left" in wording.progress_html(Step("images", 2, 8, 3.2, left=300))


def test_the_time_that_is_left_is_by_the_pace_so_far(monkeypatch):
    from trace_erasure.studio import job

    now = [0.0]
    monkeypatch.setattr(job.time, "perf_counter", lambda: now[0])
    made, seen = Job(lambda: None), []
    for what, done, at in [
        ("a", 0, 1), ("a", 2, 3), ("a", 4, 5), ("b", 5, 6), ("b", 6, 8), ("b", 0, 9),
    ]:  # fmt: skip
        now[0] = float(at)
        made._watch(what, done, 10)
        seen.append(made._step.left)
    assert seen == [None, 8.0, 6.0, None, 8.0, None]


def test_the_oracle_says_what_is_left_window_by_window():
    found = OracleForecast(
        Concept("fox", "cat"), "anchor", ("a fox",),
        (WindowForecast(0.0, 1.0, (PICTURE,) * 6), WindowForecast(0.6, 0.0, (PICTURE,) * 6)),
        tells=True,
    )  # fmt: skip
    html = wording.oracle_html(found, hidden=False)
    assert "leaves nothing: noise level 0.60" in html and "not steered" in html
    assert html.count("<img") == 2 * 4 and "100% still show it" in html
    assert "look at them" in wording.oracle_html(replace(found, tells=False), hidden=False)
    some = replace(found, windows=found.windows[:1])
    assert "Even perfect steering" in wording.oracle_html(some, hidden=False)
    assert "veil" in wording.oracle_html(found, hidden=True)


def test_the_ledger_is_shown_with_its_states(tmp_path):
    ledger = Ledger.create(tmp_path / "t.db", by="legal")
    add(ledger, [NewRequest((Concept("fox", "cat"),), "T-1")], "legal", None)
    html = wording.tables_html(ledger_tables(tmp_path / "t.db"))
    assert "T-1" in html and "fox" in html and "waiting" in html and "Models: none." in html
    with pytest.raises(InputError, match="there is no ledger"):
        ledger_tables(tmp_path / "other.db")


# A visit --------------------------------------------------------------------------------------


def last(steps) -> Any:
    """The last that a handler says, (problem or nothing, result)."""
    return list(steps)[-1]


def form(model, phrase, **others):
    given = {"model": str(model), "phrase": phrase, **others}
    return [given.get(name) for name in FORM]


@pytest.mark.slow
def test_a_visit_from_the_preview_to_the_file(tmp_path):
    tiny_stable_diffusion().save_pretrained(tmp_path / "model")
    handlers = Handlers(Bench(), tmp_path, tmp_path / "none.db")
    session = handlers.open()
    asked = form(tmp_path / "model", "fox", surrogate="dog")

    problem, html = last(handlers.look(session, *asked))
    assert problem == "" and "<b>fox</b> becomes <b>dog</b>" in html
    assert session.erasure is None and session.tools() == []
    problem, html = last(handlers.oracle(session, "a hill; a wood", *asked))
    assert problem == "" and "not steered" in html and session.erasure is None
    problem, html = last(handlers.erase(session, *asked))
    assert problem == "" and "Erases: fox" in html and session.tools()[0] == "diffusers"
    assert session.erasure is not None and session.erasure.verdict is not None
    assert "becomes" in handlers.preview_of(session)
    status, concept, neighbours = last(handlers.compare(session, 1.0, 2, 2.0))
    assert status == "" and concept.count("<figure>") == 6 and "<img" in neighbours
    problem, html = last(handlers.own_prompt(session, "a fox on a hill", 1.0, 2, 2.0))
    assert problem == "" and html.count("<figure>") == 2
    problem, file = handlers.download(session, "comfyui", False)
    assert (problem == "" and file is not None) or session.erasure.verdict.failed
    problem, file = handlers.download(session, "comfyui", True)
    assert problem == "" and file is not None
    assert Erasure.load(file).name == session.erasure.name


def test_every_mistake_of_a_visit_is_said_on_the_page(tmp_path):
    handlers = Handlers(Bench(closed=True), tmp_path, tmp_path / "none.db")
    session = handlers.open()
    assert "nothing to erase" in last(handlers.look(session, *form("emoji-sd", "")))[0]
    assert "is not offered here" in last(handlers.erase(session, *form("a/b", "fox")))[0]
    assert "Press Erase first" in last(handlers.attack(session, "typo", 2, 1.0))[0]
    assert "Press Erase first" in handlers.download(session, "diffusers", False)[0]
    assert "there is no ledger" in handlers.show_ledger()
    assert list(handlers.compare(session, 1.0, 2, 1.0)) == [(None, "", "")]


def test_mistakes_of_the_program_are_said_and_logged(tmp_path, monkeypatch, caplog):
    handlers = Handlers(Bench(), tmp_path, tmp_path / "none.db")
    monkeypatch.setattr(Session, "look", lambda self, request: 1 / 0)
    problem, html = last(handlers.look(handlers.open(), *form("emoji-sd", "fox")))
    assert "division by zero" in problem and html is None
    assert "mistake of its own" in caplog.text


def test_a_failed_erasure_is_downloaded_only_when_that_is_wanted(tmp_path):
    _, erasure = tiny_erasure()
    verdict = ErasureVerdict(word="failed", why=("it fails",))
    bad = Erasure(
        erasure.family, erasure.base, erasure.closed_form, erasure.finetuned,
        erasure.record.model_copy(update={"verdict": verdict}),
    )  # fmt: skip
    seen = Preview(Request("m", "fox").spec(), (), (), 0, None, verdict)
    session = Session(Bench(), tmp_path, Request("m", "fox"), seen, bad)
    with pytest.raises(InputError, match="Tick the box"):
        session.download("diffusers")
    assert session.download("diffusers", force=True).is_file()
