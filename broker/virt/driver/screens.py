"""What may pass at a SPICE screen beside the picture, as far as the machine itself has or lacks it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScreenParts:
    """`usb`: how many devices of the user's computer can be plugged in at once; `smartcard`: a reader for its cards.

    `clipboard` and `files`: whether QEMU lets text and files pass between the client and the guest's agent.
    """

    usb: int = 0
    smartcard: bool = False
    clipboard: bool = True
    files: bool = True
