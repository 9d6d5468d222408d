"""How the pages say what an appliance proposes."""

from django.utils.translation import gettext as _

from broker.virt.machine_options import KNOWN
from broker.virt.models import Image
from portal.templatetags.berth import mib

FIRMWARES = dict(KNOWN["firmware"].choices)


def proposal_of(image: Image) -> str:
    """Like "2 processors, 4 GiB, 1 card"."""
    told = image.proposal
    parts = [_("%(count)s processors") % {"count": told["vcpus"]}] if "vcpus" in told else []
    parts += [str(mib(told["memory_mib"]))] if "memory_mib" in told else []
    parts += [_("%(count)s network cards") % {"count": told["cards"]}] if "cards" in told else []
    parts += [_(FIRMWARES[told["firmware"]])] if "firmware" in told else []
    parts += [_("%(count)s disks") % {"count": told["disks"]}] if "disks" in told else []
    return ", ".join(parts)
