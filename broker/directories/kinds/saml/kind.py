"""What Berth asks of a SAML directory: see DirectoryKind."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.elsewhere import Preview
from broker.directories.https import Silent
from broker.directories.models import Directory, SyncAsked, User

from .assertion import Expected
from .config import as_dict, of_row, parse
from .flow import Begun, begin, finish, receive
from .metadata import ours, read_provider
from .own_key import made, own_key
from .preview import preview_of


class Saml:
    def cleaned(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """As DirectoryKind has it; metadata that was pasted is read, what is at an address is for the preview."""
        checked = parse(config)
        if checked.metadata:
            try:
                read_provider(checked, checked.metadata.encode())
            except Silent as error:
                raise Invalid(
                    N_("This metadata cannot be used: %(cause)s."),
                    field="metadata",
                    fix=N_("Paste the whole XML document the provider offers, or type its address."),
                    cause=str(error),
                ) from None
        return as_dict(checked)

    def sealed(self, password: str) -> str:
        """A new key of ours: nobody types one."""
        if password:
            raise Invalid(
                N_("Berth makes its key itself."), field="password", fix=N_("Leave this empty: a new one is made.")
            )
        return made()

    def trusts(self, config: Mapping[str, Any]) -> Any:
        """Nothing: our key is told to nobody."""
        return None

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

    def begin(self, directory: Directory, back: str, entity_id: str) -> tuple[str, Begun]:
        return begin(directory, back, entity_id)

    def receive(self, directory: Directory, posted: str, back: Collection[str], entity_id: str) -> dict[str, str]:
        return receive(directory, posted, Expected(entity_id, back))

    def finish(self, directory: Directory, begun: Mapping[str, str], told: Mapping[str, str]) -> User:
        return finish(directory, Begun(**begun), told)

    def metadata(self, directory: Directory, back: Sequence[str], entity_id: str) -> bytes:
        """Berth's own metadata for the provider. Raises Unavailable when the key cannot be opened."""
        return ours(entity_id, list(back), own_key(directory))
