"""The long verbs of this app, found in its plan modules."""


def load() -> None:
    """Import every module that registers a plan."""
