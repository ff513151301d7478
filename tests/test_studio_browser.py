"""The studio in a browser: typed, previewed, erased, looked at, taken along.

Needs the extra ``studio``, playwright and Chromium. ``TRACE_ERASURE_SCREENSHOTS=docs/images``
writes the pictures that the documents show.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 600_000
"""Milliseconds for the slowest step on a machine that is busy."""
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SHOTS = os.environ.get("TRACE_ERASURE_SCREENSHOTS")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where a studio listens, in a folder of its own."""
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("studio")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "trace_erasure", "studio", "--port", str(port)]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + PATIENCE / 1000
        while "is open at" not in (said := (folder / "log").read_text("utf-8")):
            assert process.poll() is None and time.monotonic() < until, said
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, address):
    """An open studio; at the end nothing was complained of, and nothing asked for elsewhere."""
    opened = browser.new_page(viewport=WIDE)
    opened.set_default_timeout(PATIENCE)
    complaints, asked = [], set()
    opened.on("console", lambda m: m.type == "error" and complaints.append(m.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: asked.add(request.url))
    opened.goto(address)
    opened.wait_for_selector("#concept textarea, #concept input")
    yield opened
    opened.close()
    assert complaints == []
    assert {url for url in asked if not url.startswith((address, "data:", "blob:"))} == set()


def type_concept(page, text):
    page.locator("#concept textarea, #concept input").press_sequentially(text, delay=20)


def fits(page):
    """Nothing is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def pictures(page, name):
    """The sources of a grid's pictures."""
    return page.eval_on_selector_all(f"#{name} img", "all => all.map(one => one.src)")


def finished(page, name, count):
    """Waits until a grid has ``count`` pictures, and nothing runs."""
    page.wait_for_function(
        "([name, count]) => document.querySelectorAll(`#${name} img`).length === count"
        " && !document.querySelector('#status progress')",
        arg=[name, count],
    )


def shoot(page, name, whole=True):
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"studio-{name}.png", full_page=whole)


def test_from_a_word_to_a_file(page, tmp_path):
    from trace_erasure import Erasure, load_pipeline

    type_concept(page, "fox")
    page.wait_for_function("document.querySelector('#hint').innerText.includes('carnivorous')")
    page.click("#preview")
    page.wait_for_selector("#looked .verdict-box")
    assert "fox becomes" in page.inner_text("#looked")
    assert "Will change most" in page.inner_text("#looked")
    shoot(page, "preview")

    page.click("#erase")
    page.wait_for_selector("#verdict .verdict-box.good")
    page.wait_for_selector("#concept-grid img")  # the first come before the last
    assert page.is_visible("#status progress") and page.is_visible("#stop")
    finished(page, "neighbours-grid", 12)
    assert len(pictures(page, "concept-grid")) == 12 and not page.is_visible("#stop")
    shoot(page, "erased")

    made = pictures(page, "concept-grid")
    page.locator("#strength input[type=number]").fill("0")
    page.locator("#strength input[type=number]").press("Enter")
    page.locator("#strength input[type=range]").dispatch_event("pointerup")
    page.wait_for_function(
        "before => document.querySelectorAll('#concept-grid img')[1]?.src !== before", arg=made[1]
    )
    finished(page, "neighbours-grid", 12)
    off = pictures(page, "concept-grid")
    assert off[::2] == off[1::2] == made[::2]  # at strength 0 it is the model as it was

    page.locator("#concept-grid .zoom input").first.click()  # and away again
    assert page.locator("#concept-grid .zoom img").first.bounding_box()["width"] > 400
    page.mouse.click(5, 5)
    assert page.locator("#concept-grid .zoom img").first.bounding_box()["width"] < 200

    page.click("#tool label:has-text('diffusers')")
    page.wait_for_function(
        "document.querySelector('#download').innerText.startsWith('Download no')"
    )
    with page.expect_download() as waiting:
        page.click("#download")
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    assert re.fullmatch(r"no-fox-diffusers\.safetensors", file.name)
    pipe = load_pipeline("emoji-sd")
    pipe.load_lora_weights(tmp_path, weight_name=file.name)  # plain diffusers
    assert pipe.get_active_adapters() and Erasure.load(file).record.title == "Erases: fox"


def test_a_slip_is_mended_with_a_tap_and_a_mistake_is_said(page):
    type_concept(page, "foxx")
    page.click("#words label:has-text('fox')")
    page.wait_for_function(
        "document.querySelector('#concept textarea, #concept input').value === 'fox'"
    )
    page.locator("#concept textarea, #concept input").fill("")
    page.click("#preview")
    page.wait_for_selector("#status .problem")
    assert "nothing to erase" in page.inner_text("#status")


def test_on_a_phone_nothing_is_cut_off(page):
    page.set_viewport_size(PHONE)
    assert fits(page)
    type_concept(page, "fox")
    page.click("#erase")
    page.wait_for_selector("#concept-grid img")
    bar = page.locator("#running").bounding_box()
    assert fits(page) and bar["y"] + bar["height"] <= PHONE["height"] + 1  # in sight
    page.click("#stop")
    page.wait_for_selector("#status .problem:has-text('Stopped')")
    page.locator("#strength input[type=range]").dispatch_event("pointerup")  # draws them again
    finished(page, "neighbours-grid", 12)
    assert fits(page)
    width = page.eval_on_selector("#concept-grid img", "one => one.getBoundingClientRect().width")
    assert width > 120  # two beside each other
    page.eval_on_selector("#verdict", "one => one.scrollIntoView()")
    shoot(page, "phone", whole=False)
    page.click("button[role=tab]:has-text('Takedown list')")
    page.wait_for_selector("#ledger .problem")
    assert fits(page)
