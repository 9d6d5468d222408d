"""The forms of what may pass through the consoles of a pool's desktops, and of one machine."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find
from broker.connections.actions import set_console_policy
from broker.connections.models import ConsolePolicy
from broker.connections.policy import policy_for, told
from broker.virt.models import VirtualMachine
from pools.models import Pool
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm


class PolicyForm(StyledForm):
    """Fields are named as the action's, times in minutes."""

    clipboard = forms.ChoiceField(label=gettext_lazy("Clipboard"), choices=ConsolePolicy.Clipboard.choices)
    files = forms.BooleanField(label=gettext_lazy("Files may be transferred"), required=False)  # type: ignore[assignment]
    usb = forms.BooleanField(
        label=gettext_lazy("USB devices may be connected"), required=False,
        help_text=gettext_lazy("With Remote Viewer; a browser cannot. A machine has the ports from its next start on."),
    )  # fmt: skip
    smartcard = forms.BooleanField(
        label=gettext_lazy("Smart cards may be used"), required=False,
        help_text=gettext_lazy("With Remote Viewer: the machine gets a card reader at its next start."),
    )  # fmt: skip
    rdp = forms.BooleanField(
        label=gettext_lazy("Offer RDP"), required=False,
        help_text=gettext_lazy(
            "For Windows desktops. Users then reach a desktop straight at its address, past Berth: its own rules "
            "decide what may pass there. Not where the screen is recorded."
        ),
    )  # fmt: skip
    watermark = forms.BooleanField(
        label=gettext_lazy("Show the user's name over the picture"), required=False,
        help_text=gettext_lazy("Discourages photographs of the screen; it is drawn in the page, not in the desktop."),
    )  # fmt: skip
    record = forms.BooleanField(
        label=gettext_lazy("Record the screen"), required=False,
        help_text=gettext_lazy("Users are told. Of its screens only VNC in the browser is offered then."),
    )  # fmt: skip
    guests = forms.BooleanField(
        label=gettext_lazy("Links for people without an account"), required=False,
        help_text=gettext_lazy("Users may let somebody from outside see or use their screen for at most a day."),
    )  # fmt: skip
    lock_after = forms.IntegerField(
        label=gettext_lazy("Cover the picture after minutes"), min_value=0, max_value=1440,
        help_text=gettext_lazy("Without a key or a click. 0: never."),
    )  # fmt: skip
    speed = forms.IntegerField(
        label=gettext_lazy("Most KiB a second"), min_value=0, max_value=10485760, help_text=gettext_lazy("0: no limit.")
    )
    quality = forms.IntegerField(
        label=gettext_lazy("Best picture quality"), min_value=0, max_value=9,
        help_text=gettext_lazy("0: least data, 9: best."),
    )  # fmt: skip
    sign_on = forms.ChoiceField(
        label=gettext_lazy("Sign-on in the desktop"), choices=ConsolePolicy.SignOn.choices,
        help_text=gettext_lazy(
            "The owner of a desktop is logged in there on opening it. Linux only; the template needs berth-sign-on."
        ),
    )  # fmt: skip
    keyboard = forms.ChoiceField(
        label=gettext_lazy("Keys are sent"), choices=ConsolePolicy.Keyboard.choices, required=False
    )


class _Edit(FormPage):
    model: type[Pool] | type[VirtualMachine]
    right = ""
    page = ""

    def _find(self, pk: Any) -> Any:
        return find(self.actor, self.model, pk, self.right)

    def form(self, data: Any, pk: Any) -> StyledForm:  # type: ignore[override]
        policy = policy_for(self._find(pk))
        initial = {name: getattr(policy, name) for name in PolicyForm.base_fields}
        return PolicyForm(data, initial=initial | {"lock_after": policy.lock_after // 60})

    def make(self, values: dict[str, Any], pk: Any) -> str:  # type: ignore[override]
        obj = self._find(pk)
        set_console_policy(actor=self.actor, obj=obj, **{**values, "lock_after": values["lock_after"] * 60})
        return reverse(self.page, args=[obj.pk])

    def words(self, pk: Any) -> Mapping[str, Any]:  # type: ignore[override]
        obj = self._find(pk)
        return {
            "title": _("Consoles of %(pool)s") % {"pool": obj},
            "under": " ".join(told(policy_for(obj))) or _("Everything may pass."),
            "submit": _("Save"),
            "back_url": reverse(self.page, args=[obj.pk]),
            "back_label": str(obj),
        }


class EditPolicy(_Edit):
    model, right, page = Pool, "pool.manage", "portal:pool"


class EditMachinePolicy(_Edit):
    """Of one machine; it counts before its pool's."""

    model, right, page = VirtualMachine, "vm.manage", "portal:vm"
