"""Documentation holds together: links lead somewhere, each page is in the navigation, the site needs nobody else."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TEXTS = [*sorted(ROOT.glob("*.md")), *PAGES]
SITE = (ROOT / "zensical.toml").read_text()


def prose(text: str) -> str:
    """Without what stands in blocks and lines of code."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))


def links(text: str) -> list[str]:
    found = re.findall(r"\]\(([^()\s]+)(?: \"[^\"]*\")?\)|(?:src|href)=\"([^\"]+)\"", prose(text))
    return [in_markdown or in_html for in_markdown, in_html in found]


def anchors(text: str) -> set[str]:
    """The names that headings get, as GitHub and the site generator make them."""
    code_removed = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return {anchor(heading) for heading in re.findall(r"^#+ +(.+?)\s*$", code_removed, re.M)}


def anchor(heading: str) -> str:
    plain = re.sub(r"\[([^\]]+)\]\([^)]*\)|[`*_]", r"\1", heading)
    letters = "".join(c for c in unicodedata.normalize("NFC", plain.lower()) if c.isalnum() or c in " -_")
    return letters.strip().replace(" ", "-")


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    """To a file of the project, and to a heading in it where one is named."""
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}, and there is no such file"
        assert target.is_relative_to(ROOT), link
        if heading and target.suffix == ".md":
            assert heading in anchors(target.read_text(encoding="utf-8")), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_of_the_site_link_to_pages_of_the_site(page: Path) -> None:
    """What is outside of docs/ is not part of the site, so a link to it would be dead there."""
    for link in links(page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:|#", link):
            assert (page.parent / link.partition("#")[0]).resolve().is_relative_to(DOCS), f"{page.name} links to {link}"


def test_every_page_is_in_the_navigation_once() -> None:
    """And every entry of the navigation is a page."""
    listed = re.findall(r'= "([\w-]+\.md)"', SITE)
    assert sorted(listed) == [page.name for page in PAGES]


def test_the_site_asks_nobody_for_a_font() -> None:
    """Reading about privacy tells no third party so; the generator's own files are local."""
    assert re.search(r"^font = false$", SITE, re.M)
    assert not re.findall(r"https?://", SITE)


def test_each_page_of_a_concept_opens_with_something_to_run() -> None:
    """Code comes before the second heading. Lists of decisions have nothing to run."""
    for page in PAGES:
        if page.name != "log.md":
            opening = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.M)[0]
            assert re.search(r"^```(python|bash)$", opening, re.M), page.name


def test_an_anchor_is_what_a_heading_becomes() -> None:
    """As readers find it in the address."""
    assert anchor("Choosing a model") == "choosing-a-model"
    assert anchor("The `practorflow` command, in *short*") == "the-practorflow-command-in-short"
