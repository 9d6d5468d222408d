"""What Berth asks of an OpenID Connect directory: see DirectoryKind."""

from collections.abc import Mapping
from typing import Any

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.elsewhere import Preview
from broker.directories.models import Directory, SyncAsked, User
from broker.directories.secret import sealed

from .config import as_dict, of_row, parse
from .flow import Begun, begin, finish, sign_out_address
from .preview import preview_of

LONGEST_SECRET = 1024


class Oidc:
    def cleaned(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return as_dict(parse(config))

    def sealed(self, password: str) -> str:
        if not password.isprintable() or len(password) > LONGEST_SECRET:
            raise Invalid(N_("This secret cannot be used."), field="password", fix=N_("Copy it from the provider."))
        return sealed(password)

    def trusts(self, config: Mapping[str, Any]) -> Any:
        return parse(config).whom

    def follow(self, directory: Directory) -> None:
        """Nothing to follow: a provider tells of people when they sign in."""
        if directory.sync_asked:
            Directory.objects.filter(pk=directory.pk).update(sync_asked=SyncAsked.NOTHING)

    def preview(self, directory: Directory, *, username: str | None) -> Preview:
        """What the row's settings yield; the row need not be saved."""
        return preview_of(directory)

    def session_hours(self, directory: Directory) -> int:
        """How long a sign-in is good at most, in hours: whoever is disabled at the provider is out after that."""
        return of_row(directory).session_hours

    def begin(self, directory: Directory, back: str) -> tuple[str, Begun]:
        return begin(directory, back)

    def finish(self, directory: Directory, begun: Mapping[str, str], told: Mapping[str, str]) -> User:
        return finish(directory, Begun(**begun), told)

    def sign_out_address(self, directory: Directory, word: str, back: str) -> str:
        """Where the browser signs out at the provider as well; "" for nowhere."""
        return sign_out_address(directory, word, back)
