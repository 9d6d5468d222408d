"""What the console page shows and says that is the same for everybody, for {% steady %} parts of its template."""

from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html_join, json_script
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from broker.gateway.closing import for_page

register = template.Library()

COMBINATIONS = (
    "Alt+Tab", "Alt+F4", "Ctrl+Esc", "Super", "Super+L", "Print", "Ctrl+Alt+F1", "Ctrl+Alt+F2", "Ctrl+Alt+F7",
    "Ctrl+Shift+Esc", "Esc", "Tab",
)  # fmt: skip
MODIFIERS = ("Ctrl", "Alt", "Shift", "Super")


@register.simple_tag
def key_combinations() -> SafeString:
    """A button for each."""
    button = '<button class="btn" type="button" data-keys="{}">{}</button>'
    return format_html_join("", button, ((keys, keys.replace("+", " + ")) for keys in COMBINATIONS))


@register.simple_tag
def held_keys() -> SafeString:
    """A button for each key that can be held down."""
    button = '<button class="btn" type="button" data-hold="{}" aria-pressed="false">{}</button>'
    return format_html_join("", button, ((name, name) for name in MODIFIERS))


@register.simple_tag
def console_words() -> SafeString:
    """What the script says, in the reader's language, as a JSON block."""
    closing = {str(row["code"]): {"text": _(str(row["text"])), "again": row["again"]} for row in for_page()}
    words = {"closing": closing, "texts": _texts(), "lineUrl": static("berth/img/logo.svg")}
    return json_script(words, "console-words")


def _texts() -> dict[str, Any]:
    return {
        "lineWords": {"good": _("Line: good"), "slow": _("Line: slow"), "bad": _("Line: bad")},
        "lineTold": {
            "good": _("The line to Berth is good ({ms} ms there and back)."),
            "slow": _("The line to Berth is slow ({ms} ms there and back): typing may lag a little."),
            "bad": _("The line to Berth is bad ({ms} ms there and back). Choosing least data may help."),
        },
        "connecting": _("Opening the screen …"),
        "reconnecting": _("Connecting again …"),
        "unreachable": _("Berth does not answer."),
        "refused": _("The screen could not be opened."),
        "closed": _("You closed the connection. The desktop goes on without you."),
        "lost": _("The connection was lost."),
        "againIn": _("Next attempt in {seconds} s."),
        "againNow": _("Trying again …"),
        "elsewhere": _("This desktop is open on another device since {since}."),
        "elsewhereFix": _("Take it over? It closes there; what runs in it goes on."),
        "takeOver": _("Take it over"),
        "takeBack": _("Take it back"),
        "connectNow": _("Connect now"),
        "signInAgain": _("Sign in again"),
        "allow": _("Allow"),
        "refuse": _("Refuse"),
        "stop": _("End it"),
        "extend": _("Stay longer"),
        "read": _("Got it"),
        "from": _("{by} writes: {text}"),
        "until": _("until {time}"),
        "copied": _("The link was copied. Who has it, and can sign in here, {what}."),
        "noShares": _("There is no link."),
        "noClipboard": _(
            "By SPICE the browser has no clipboard. Choose VNC under Picture, or open the screen with Remote Viewer. "
            "“Type it” works here too."
        ),
    }
