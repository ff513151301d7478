"""A page of one file in headless Chromium, at a width of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
    "--enable-logging=stderr", "--window-size=1400,900", "--virtual-time-budget=20000",
]  # fmt: skip
LOOK = """
<script>
addEventListener("error", e => { document.title = "error: " + e.message; });
addEventListener("load", () => {
  const all = selector => [...document.querySelectorAll(selector)];
  all("details").forEach(d => d.open = true);
  all(".veil img").forEach(i => i.style.transition = "none");
  const first = selector => { const box = document.querySelector(selector);
    return box && (() => { const picture = box.nextElementSibling;
      return {width: picture.getBoundingClientRect().width,
              filter: getComputedStyle(picture).filter}; })(); };
  const clicked = selector => { const box = document.querySelector(selector);
    if (!box) return null;
    const before = first(selector); box.click(); const after = first(selector); box.click();
    return {before, after}; };
  const images = [...document.images];
  document.body.dataset.found = JSON.stringify({
    images: images.length, loaded: images.filter(i => i.complete && i.naturalWidth > 0).length,
    tables: all("table").filter(t => t.rows.length > 2).length, svg: all("svg").length,
    width: innerWidth, page: document.documentElement.scrollWidth, title: document.title,
    veil: clicked(".veil input"), zoom: clicked(".zoom:not(.veil) input"),
    headings: all("h2, h3").map(h => h.innerText),
    files: all("a[download]").map(a => a.getAttribute("href")),
  });
});
</script>
"""
FRAME = """<body><script>
const wait = () => { const inner = document.querySelector("iframe").contentDocument;
  const found = inner && inner.body && inner.body.dataset.found;
  if (found) document.body.dataset.found = found; else setTimeout(wait, 50); };
addEventListener("load", wait);</script>
<iframe src="inner.html" width="%d" height="900" style="border:0"></iframe>"""


def look_at(page: Path, folder: Path, width: int) -> dict[str, Any]:
    """What a browser of ``width`` pixels sees of ``page``; fails where the page complains.

    The page must fit: wide tables scroll by themselves, the page does not.
    """
    text = page.read_text("utf-8")
    assert "<script" not in text and "http://" not in text.replace("http://www.w3.org", "")
    # Headless windows have a least width: a frame of the wanted one has none.
    (folder / "inner.html").write_text(text.replace("</body>", LOOK + "</body>"), "utf-8")
    (folder / "outer.html").write_text(FRAME % width, "utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [str(BROWSER), *FLAGS, profile, "--dump-dom", (folder / "outer.html").as_uri()],
        capture_output=True, text=True, timeout=180, env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    assert 'data-found="' in done.stdout, done.stderr[-2000:]
    raw = done.stdout.split('data-found="', 1)[1].split('"', 1)[0]
    seen = json.loads(raw.replace("&quot;", '"').replace("&amp;", "&"))
    assert "CONSOLE" not in done.stderr, done.stderr[-2000:]
    assert not seen["title"].startswith("error")
    assert seen["width"] == width and seen["page"] <= width
    assert seen["loaded"] == seen["images"]
    return seen
