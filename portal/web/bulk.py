"""What can be done to several desktops at once: (name in pools.bulk, label, icon, whether it is dangerous)."""

from django.utils.translation import gettext_lazy

BULK = (
    ("message", gettext_lazy("Send a message"), "info-circle", False),
    ("restart", gettext_lazy("Restart"), "refresh", False),
    ("shut-down", gettext_lazy("Shut down"), "power", True),
    ("give-back", gettext_lazy("Give back"), "logout", True),
    ("end", gettext_lazy("Close the screens"), "plug-connected-x", True),
)
