"""What the templates need beside Django's own: icons, sizes, durations, and links that keep a list's filters."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.conf import settings
from django.http import QueryDict
from django.templatetags.static import static
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join, json_script
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, ngettext

from broker.core.errors import BerthError
from portal.branding import logo_address
from portal.why import told

register = template.Library()
SIGNED_OUT = 4401
"""Close code of /live/ when the session is over; the page then loads anew and lands on the sign-in page."""
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """A symbol of the icon sprite; decoration, so hidden from screen readers."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#i-{}"/></svg>', classes, static("berth/icons.svg"), name
    )


@register.simple_tag
def site_name() -> str:
    """What the site calls itself."""
    return str(settings.SITE_NAME)


@register.simple_tag
def site_logo() -> str:
    """The address of the site's own logo; empty: Berth's."""
    return logo_address()


@register.simple_tag
def sign_in_notice() -> SafeString:
    """What is to be read before signing in, in paragraphs; empty where there is none."""
    parts = (part.strip() for part in re.split(r"\n\s*\n", settings.SIGN_IN_NOTICE))
    return format_html_join("", "<p>{}</p>", ((part,) for part in parts if part))


class _Steady(template.Node):
    """Rendered once for each language, and without a context: what is somebody's own cannot get into it."""

    def __init__(self, nodes: template.NodeList):
        self.nodelist = nodes
        self._rendered: dict[str | None, SafeString] = {}

    def render(self, context: template.Context) -> SafeString:
        language = get_language()
        if language not in self._rendered:
            alone = template.Context()
            alone.template = context.template
            with alone.render_context.push_state(context.template):  # type: ignore[arg-type]  # while it is rendered there is one
                self._rendered[language] = self.nodelist.render(alone)
        return self._rendered[language]


@register.tag
def steady(parser: Any, token: Any) -> _Steady:
    """{% steady %} … {% endsteady %}: a part that is the same for everybody. Variables are empty in it."""
    nodes = parser.parse(("endsteady",))
    parser.delete_first_token()
    return _Steady(nodes)


@register.simple_tag
def page_texts() -> SafeString:
    """What every page's scripts say, as a JSON block."""
    texts = {
        "close": gettext("Close"),
        "why": gettext("Why?"),
        "unreachable": gettext("Berth did not answer."),
        "unreachableFix": gettext("Check your connection and try again."),
        "signedOutCode": SIGNED_OUT,
    }
    return json_script(texts, "texts")


@register.filter
def bytesize(value: int | None) -> str:
    """12884901888 → "12 GiB"; one digit after the point below ten."""
    if value is None:
        return "–"
    size, unit = float(value), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    digits = 0 if size >= 10 or size == int(size) or unit == 0 else 1
    return f"{size:.{digits}f} {_UNITS[unit]}".replace(".", formats.get_format("DECIMAL_SEPARATOR"))


@register.filter
def mib(value: int | None) -> str:
    """A size given in MiB, as bytesize."""
    return bytesize(None if value is None else value * 1024 * 1024)


@register.filter
def share(part: int | None, whole: int | None) -> int:
    """`part` of `whole` in whole percent; 0 when there is nothing to divide by."""
    return round(100 * (part or 0) / whole) if whole else 0


@register.filter
def duration(value: timedelta | None) -> str:
    """How long something took or lasts, in its largest unit or two: "3 d 4 h", "12 s"."""
    if value is None:
        return ""
    seconds = max(0, round(value.total_seconds()))
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return gettext("%(days)d d %(hours)d h") % {"days": days, "hours": hours}
    if hours:
        return gettext("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    if minutes:
        return gettext("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": seconds}
    return gettext("%(seconds)d s") % {"seconds": seconds}


@register.simple_tag
def ago(moment: datetime | None) -> SafeString | str:
    """A <time> that the browser keeps counting; without scripts it says the moment itself."""
    if moment is None:
        return "–"
    local = timezone.localtime(moment)
    return format_html(
        '<time data-ago datetime="{}">{}</time>', moment.isoformat(), local.strftime("%Y-%m-%d %H:%M:%S")
    )


@register.filter
def plural(count: int, kind: str) -> str:
    """ "3 machines", for the nouns that lists count."""
    forms = {
        "machine": ngettext("%d machine", "%d machines", count),
        "desktop": ngettext("%d desktop", "%d desktops", count),
        "pool": ngettext("%d pool", "%d pools", count),
        "host": ngettext("%d host", "%d hosts", count),
        "job": ngettext("%d job", "%d jobs", count),
        "event": ngettext("%d event", "%d events", count),
        "session": ngettext("%d session", "%d sessions", count),
    }
    return forms[kind] % count


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The page's query string with `changes`; an empty value removes its name. Paging starts anew unless named."""
    given: QueryDict = context["request"].GET.copy()
    given.pop("page", None)
    for name, value in changes.items():
        if value in (None, ""):
            given.pop(name, None)
        else:
            given[name] = str(value)
    return f"?{given.urlencode()}"


@register.simple_tag(takes_context=True)
def sorted_by(context: dict[str, Any], column: str) -> str:
    """ "ascending", "descending" or "": how the list is sorted by `column` at present."""
    order = context.get("order", "")
    return {column: "ascending", f"-{column}": "descending"}.get(order, "")


@register.inclusion_tag("portal/partials/why.html", takes_context=True)
def why(context: Any, refusal: BerthError | Mapping[str, Any] | None) -> dict[str, Any]:
    """The block that unfolds to why something was refused; nothing when there is no more to say."""
    stored = refusal.as_dict() if isinstance(refusal, BerthError) else refusal
    return {"why": told(context["request"].actor, stored)[2] if stored else None}


@register.filter
def session_rules(pool: Any) -> str:
    """What happens by itself to the pool's desktops, as one sentence."""
    from pools.session_sentence import sentence

    return sentence(pool)
