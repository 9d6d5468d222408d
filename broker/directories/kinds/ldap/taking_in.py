"""Write down whom a directory vouches for at a sign-in, however two of them at once come out."""

from django.db import IntegrityError

from broker.directories.models import Directory, User
from broker.directories.people import take_in

from .finding import Searcher


def taken_in(directory: Directory, searcher: Searcher) -> User:
    """The row of the person that was found, with the groups they have now. Raises Conflict, Unavailable."""
    assert searcher.person is not None
    groups = searcher.groups()
    try:
        return take_in(directory, searcher.person, groups, searcher.look)
    except IntegrityError:  # the same person in another tab, or the sync, was first: now the row is there
        return take_in(directory, searcher.person, groups, searcher.look)
