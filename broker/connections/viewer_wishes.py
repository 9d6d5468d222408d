"""What a user wishes of a program on their computer; the policy may say no to some of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ViewerWishes:
    """`share_usb`: whatever is plugged into the computer goes to the machine. `smartcard`: the cards in its reader."""

    full_screen: bool = False
    share_usb: bool = False
    smartcard: bool = True


USUAL = ViewerWishes()
