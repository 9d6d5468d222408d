"""The browser libraries are those that their list names, and every picture and module that pages name is there."""

import hashlib
import re
from pathlib import Path

STATIC = Path(__file__).parents[3] / "portal" / "static"
TEMPLATES = Path(__file__).parents[3] / "templates"
VENDOR = STATIC / "vendor"


def test_vendored_files_are_as_listed():
    listed = dict(reversed(line.split(maxsplit=1)) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    folders = [folder for folder in VENDOR.iterdir() if folder.is_dir()]
    present = {str(file.relative_to(VENDOR)) for folder in folders for file in folder.rglob("*") if file.is_file()}
    assert present == set(listed)
    for name, digest in listed.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name


def test_every_icon_that_is_named_is_in_the_sprite():
    sprite = set(re.findall(r'id="i-([\w-]+)"', (STATIC / "berth" / "icons.svg").read_text()))
    named = set()
    for template in TEMPLATES.rglob("*.html"):
        named |= set(re.findall(r'{% icon "([\w-]+)"', template.read_text()))
    from portal.web import words
    from portal.web.verbs import POWER_VERBS

    named |= set(words.EVENT_ICONS.values()) | set(words.OS_ICONS.values()) | {verb.icon for verb in POWER_VERBS}
    assert named - sprite == set()


def test_modules_import_files_that_exist():
    for module in (STATIC / "berth" / "js").rglob("*.js"):
        for path in re.findall(r'(?:from|import)\s*\(?"(\.[^"]+)"', module.read_text()):
            assert (module.parent / path).is_file(), (module.name, path)


def test_nothing_is_fetched_from_elsewhere():
    for file in [*(STATIC / "berth").rglob("*.css"), *(STATIC / "berth").rglob("*.js"), *TEMPLATES.rglob("*.html")]:
        found = re.findall(r"https?://[^\s\"')]+", file.read_text())
        assert not [address for address in found if not address.startswith("http://www.w3.org/")], file
