"""How the sealing of a template version went, in the reader's words."""

from django.utils.translation import gettext

from broker.virt.models import TemplateVersion

from .middleware import sentence


def left_unsealed(version: TemplateVersion) -> list[str]:
    """What was not sealed, a sentence each; empty when all was, or when nobody asked for it."""
    found = []
    for one in version.sealing.get("left", ()):
        params = {name: gettext(value) if name == "kind" else value for name, value in one["params"].items()}
        found.append(sentence(one["message"], params))
    return found
