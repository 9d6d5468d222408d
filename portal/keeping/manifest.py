"""The first member of an archive: what made it, of what, when, and the size and SHA-256 of every other member. Pure."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

NAME = "manifest.json"
MOST_BYTES = 1 << 20
FORMAT = 1
DUMPS = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
KEY = "secret.key"

Word = Annotated[str, Field(min_length=1, max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Member(_Strict):
    """One file of the archive; `size` in bytes."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(_Strict):
    """`migrations`: "app.name" of each that the dump has. `key`: the secret key's fingerprint; it lies in the archive
    (`file`) or in BERTH_SECRET_KEY (`environment`), which no archive holds.
    """

    format: Literal[1] = 1
    berth: Word
    made_at: datetime
    engine: Literal["sqlite", "postgresql"]
    db_schema: str = Field(default="", max_length=63)
    migrations: list[Word] = Field(max_length=10_000)
    key: Word
    key_in: Literal["file", "environment"]
    members: dict[Word, Member] = Field(max_length=8)

    @property
    def dump(self) -> str:
        """The name of the member that is the database."""
        return DUMPS[self.engine]

    @property
    def expected(self) -> set[str]:
        """The members that there must be, no more and no fewer."""
        return {self.dump, KEY} if self.key_in == "file" else {self.dump}

    def encoded(self) -> bytes:
        return self.model_dump_json(indent=1).encode()


def decoded(data: bytes) -> Manifest:
    """The manifest that these bytes are. Raises Invalid."""
    try:
        found = Manifest.model_validate_json(data)
    except ValidationError as error:
        if any(one["loc"] == ("format",) for one in error.errors()):
            raise Invalid(
                N_("The archive is of a format that this Berth does not know."), rule="keeping.format",
                fix=N_("Restore it with the Berth that made it, or with a newer one."),
            ) from None  # fmt: skip
        raise broken(N_("its manifest is not one")) from None
    if found.made_at.tzinfo is None or set(found.members) != found.expected:
        raise broken(N_("its manifest does not name what an archive holds"))
    return found


def broken(why: str, **params: object) -> Invalid:
    """What is said of an archive that is damaged or is none; `why` is a part of a sentence over `params`."""
    why = why % params if params else why
    return Invalid(
        N_("This is no whole archive of a manager: %(why)s."), rule="keeping.archive", why=why,
        fix=N_("Nothing was changed. Take another archive."),
    )  # fmt: skip
