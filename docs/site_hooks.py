"""Hooks of mkdocs: the documents in the repository's root become pages of the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Files in the root, and what they are called on the site."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^()\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the root's documents."""
    root = Path(config.docs_dir).parent
    for source, page in PAGES.items():
        text = (root / source).read_text("utf-8")
        files.append(File.generated(config, page, content=relinked(text, "", files)))
    return files


def on_page_markdown(markdown: str, *, page, config: MkDocsConfig, files: Files) -> str:  # type: ignore[no-untyped-def]
    """Points links out of ``docs`` to the site's pages, or shows the path where there is none."""
    if page.file.src_uri in PAGES.values():
        return markdown
    if page.file.src_uri.startswith("results/"):  # wide tables need the room
        page.meta["hide"] = ["toc"]
    return relinked(markdown, posixpath.join("docs", posixpath.dirname(page.file.src_uri)), files)


def relinked(text: str, folder: str, files: Files) -> str:
    """``text`` with the links of a document in ``folder`` of the repository, for the site."""
    known = {file.src_uri for file in files} | set(PAGES.values())
    here = posixpath.relpath(folder or ".", "docs") if folder else "."

    def replaced(match: re.Match[str]) -> str:
        image, label, target = match.groups()
        path, _, anchor = target.partition("#")
        if not path or "://" in target or target.startswith("mailto:"):
            return match[0]
        source = posixpath.normpath(posixpath.join(folder, path))
        page = PAGES.get(source) or posixpath.relpath(source, "docs")
        if page not in known:
            return f"{label} (`{source}`)" if label != source else f"`{source}`"
        link = posixpath.relpath(page, here) + (f"#{anchor}" if anchor else "")
        return f"{image}[{label}]({link})"

    return LINK.sub(replaced, text)
