"""What the desktops of a pool are called: "desk-###" or, without a pattern, "<pool>-<number>"."""

import re
from collections.abc import Container, Iterator

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from .models.pool import LARGEST

_PATTERN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*)(#{1,6})[A-Za-z0-9._-]*|(#{1,6})[A-Za-z0-9._-]*")
LONGEST_PATTERN = 48
# Numbers whose names somebody else has are passed over; this many in vain means that the pattern is taken.
MOST_PASSED_OVER = LARGEST


def check_pattern(pattern: str) -> str:
    """Return a usable pattern unchanged; raises Invalid. Empty stands for "<pool>-<number>"."""
    known = isinstance(pattern, str) and len(pattern) <= LONGEST_PATTERN and ".." not in pattern
    if not known or (pattern and not _PATTERN.fullmatch(pattern)):
        raise Invalid(
            N_("This cannot be a pattern for names."),
            field="name_pattern",
            fix=N_("Write it like desk-###: letters a-z, digits, “.”, “_”, “-”, and once 1 to 6 “#” for the number."),
        )
    return pattern


def name_of(pool_name: str, pattern: str, number: int) -> str:
    """The name of the pool's desktop `number`; a number longer than its “#” is written in full."""
    if not pattern:
        return f"{pool_name}-{number}"
    return re.sub(r"#+", lambda digits: str(number).zfill(len(digits[0])), pattern, count=1)


def prefix_of(pool_name: str, pattern: str) -> str:
    """What all names of the pool begin with."""
    return pattern.partition("#")[0] if pattern else f"{pool_name}-"


def free_names(
    pool_name: str, pattern: str, *, numbers: Container[int], names: Container[str]
) -> Iterator[tuple[int, str]]:
    """Numbers and names not in use, the lowest first. Ends when too many are taken."""
    for number in range(1, LARGEST + MOST_PASSED_OVER + 1):
        name = name_of(pool_name, pattern, number)
        if number not in numbers and name not in names:
            yield number, name
