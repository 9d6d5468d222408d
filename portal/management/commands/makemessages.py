"""`makemessages` as Django has it, that finds all of Berth's marks, and writes catalogues that only change with texts.

Most of what Berth says (refusals, steps of jobs, events, states) is written down as a %-template marked with N_
(`broker.core.text.gettext_noop`) and translated when somebody looks at it; forms whose `_` is lazy say `_now` for
what is translated at once. xgettext knows neither name by itself.
Where a message stands, when the catalogue was made and how its lines are broken is left out; what nobody says any more
goes, and a new message is never guessed from one like it.
"""

import re
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import makemessages


class Command(makemessages.Command):
    xgettext_options = [*makemessages.Command.xgettext_options, "--keyword=N_", "--keyword=_now"]
    msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(add_location=None, no_location=True, no_wrap=True, no_obsolete=True)

    def handle(self, *args: Any, **options: Any) -> None:
        # Tests and pages of the documentation speak to no reader of the portal; others' scripts have their own texts.
        options["ignore_patterns"] = [*options["ignore_patterns"], "tests", "docs", "deploy", "vendor"]
        super().handle(*args, **options)

    def write_po_file(self, potfile: str, locale: str) -> None:
        super().write_po_file(potfile, locale)
        catalogue = Path(potfile).parent / locale / "LC_MESSAGES" / f"{self.domain}.po"
        catalogue.write_text(re.sub(r'^"POT-Creation-Date: .*\n', "", catalogue.read_text(), flags=re.MULTILINE))
