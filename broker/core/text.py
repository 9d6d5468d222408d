"""Mark text for translation where Django may not be imported (core and the drivers)."""


def gettext_noop(message: str) -> str:
    """Return `message` unchanged; `makemessages` finds it by this function's name."""
    return message
