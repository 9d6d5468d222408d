"""Catalogues are compiled as written, with nothing guessed and no placeholder lost; templates mark all their words."""

import gettext
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings as site_settings
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]
CATALOGUES = sorted((ROOT / "portal" / "locale").glob("*/LC_MESSAGES/django.po"))
PLACEHOLDER = re.compile(r"%\(\w+\)[.\d]*[a-z]|%[ds]|%%|\{\w+\}|<[^>]+>")
languages = pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])


def compiled(path: Path) -> dict:
    with path.open("rb") as file:
        return gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]


def test_every_language_that_is_offered_has_a_catalogue():
    offered = {code for code, _name in site_settings.LANGUAGES} - {site_settings.LANGUAGE_CODE}
    assert {path.parts[-3] for path in CATALOGUES} == offered != set()


@languages
def test_the_compiled_catalogue_is_the_written_one(path, tmp_path):
    """msgfmt also finds placeholders and plural forms that do not fit, and headers that are missing."""
    made = subprocess.run(["msgfmt", "--check", "-o", tmp_path / "made.mo", path], capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, ""), made.stderr
    assert compiled(tmp_path / "made.mo") == compiled(path.with_suffix(".mo")), "run `make texts`"


@languages
def test_nothing_in_it_was_guessed(path):
    assert "#, fuzzy" not in path.read_text() and ", fuzzy" not in path.read_text()


@languages
def test_placeholders_and_markup_are_kept(path):
    wrong = {}
    for said, text in compiled(path.with_suffix(".mo")).items():
        source = said[0] if isinstance(said, tuple) else said
        if source and not isinstance(said, tuple) and found(source) != found(text):
            wrong[source] = text
        if isinstance(said, tuple) and not found(text) <= found(source) | {"%(count)d", "%(count)s"}:
            wrong[source] = text
    assert wrong == {}


def found(text: str) -> set[str]:
    return set(PLACEHOLDER.findall(text))


@pytest.mark.slow
@languages
def test_all_that_berth_says_is_translated_and_nothing_else(path, tmp_path, settings, monkeypatch):
    monkeypatch.chdir(ROOT)
    settings.LOCALE_PATHS = [tmp_path]
    here = tmp_path / path.relative_to(ROOT / "portal" / "locale")
    here.parent.mkdir(parents=True)
    shutil.copy(path, here)
    # A directory that is left out is not written to either.
    call_command("makemessages", locale=[path.parts[-3]], ignore_patterns=["locale"], verbosity=0)
    made = subprocess.run(["msgattrib", "--untranslated", here], capture_output=True, text=True, check=True)
    assert made.stdout == "", "run `make texts` and translate what is new"
    assert entries(here) == entries(path), "run `make texts`"


def entries(path: Path) -> list[str]:
    """In no order: which directory is read first does not matter."""
    return sorted(path.read_text().strip().split("\n\n"))


UNSEEN = re.compile(
    r"{%\s*comment\b.*?endcomment\s*%}|{#.*?#}|{%\s*blocktrans(?:late)?\b.*?endblocktrans(?:late)?\s*%}"
    # What the page is about, for its live updates, and htmx's own settings.
    r"|{%\s*block (?:live|watch)\s*%}.*?{%\s*endblock\s*%}|<(script|style)\b.*?</\1>|\scontent='[^']*'",
    re.S,
)
READ_ALOUD = re.compile(r'\b(?:aria-label|title|placeholder|alt|data-copied)="([^"{]*[A-Za-z]{2,}[^"{]*)"')
WORD = re.compile(r"[A-Za-z]{2,}")
NAMES = {"Berth", "VNC", "SPICE", "Ctrl", "Alt", "Shift", "Del"}
"""The same in every language, or on every keyboard."""


def bare_words(template: str) -> set[str]:
    """Words of a template's text that nobody can translate."""
    text = UNSEEN.sub("", template)
    text = re.sub(r"{%.*?%}|{{.*?}}", " ", text, flags=re.S)
    said = [*READ_ALOUD.findall(text), re.sub(r"<[^>]*>", " ", text, flags=re.S)]
    return set(WORD.findall(" ".join(said))) - NAMES


def test_bare_words_are_found():
    assert bare_words('<p class="x">Hello {{ name }}</p>{% translate "World" %}') == {"Hello"}
    assert bare_words('{% blocktranslate %}All {{ x }}{% endblocktranslate %}<b aria-label="Not this">·</b>') == {
        "Not", "this",
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_every_word_of_a_template_can_be_translated(path):
    assert bare_words(path.read_text()) == set()
