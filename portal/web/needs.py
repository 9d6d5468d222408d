"""What programs on the user's own computer need, per operating system: said before the click."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_lazy

from portal.web.words import Text

VIEWER_NEEDS = gettext_lazy(
    "Needs virt-viewer on this computer. Linux: the package virt-viewer. Windows: the installer from virt-manager.org. "
    "macOS: brew install virt-viewer."
)


@dataclass(frozen=True, slots=True)
class Need:
    """What is needed on one system."""

    system: str
    text: Text


VIEWER: Sequence[Need] = (
    Need(
        "Linux",
        gettext_lazy("The package virt-viewer. For USB your user must be allowed to open devices (polkit asks)."),
    ),
    Need("Windows", gettext_lazy("virt-viewer from virt-manager.org; for USB the UsbDk driver as well.")),
    Need("macOS", gettext_lazy("brew install virt-viewer. USB and smart cards are not passed on there.")),
    Need("Android, iOS", gettext_lazy("There is no program that takes the file; use the browser.")),
)
RDP: Sequence[Need] = (
    Need("Windows", gettext_lazy("Built in: open the file.")),
    Need("macOS", gettext_lazy("Windows App from the App Store.")),
    Need("Linux", gettext_lazy("Remmina, or xfreerdp with the file's name.")),
    Need("Android, iOS", gettext_lazy("Windows App from the store of the system.")),
)
