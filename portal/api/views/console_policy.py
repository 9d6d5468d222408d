"""What may pass through the consoles of a pool's desktops, or of one machine."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.connections.actions import set_console_policy
from broker.connections.models import ConsolePolicy
from broker.connections.policy import policy_for, told
from broker.virt.models import VirtualMachine
from pools.models import Pool
from portal.api.base import Door
from portal.api.fields import Input, WholeNumber


class ChangedPolicy(Input):
    clipboard = serializers.ChoiceField(choices=ConsolePolicy.Clipboard.choices, required=False)
    files = serializers.BooleanField(required=False)
    usb = serializers.BooleanField(required=False)
    smartcard = serializers.BooleanField(required=False)
    rdp = serializers.BooleanField(required=False, help_text="Windows desktops: .rdp files are offered.")
    watermark = serializers.BooleanField(required=False)
    record = serializers.BooleanField(required=False)
    guests = serializers.BooleanField(required=False, help_text="Links may be made for people without an account.")
    lock_after = WholeNumber(required=False, min_value=0, max_value=24 * 3600, help_text="Seconds; 0: never.")
    speed = WholeNumber(required=False, min_value=0, max_value=10 * 1024 * 1024, help_text="KiB a second; 0: no limit.")
    quality = WholeNumber(required=False, min_value=0, max_value=9)
    sign_on = serializers.ChoiceField(
        choices=ConsolePolicy.SignOn.choices, required=False, help_text="How the owner gets into the guest; Linux only."
    )
    keyboard = serializers.ChoiceField(choices=ConsolePolicy.Keyboard.choices, required=False, allow_blank=True)


class PolicySerializer(serializers.ModelSerializer):
    """`sentences` is what the users read, in the language of the call."""

    sentences = serializers.SerializerMethodField()

    class Meta:
        model = ConsolePolicy
        fields = (
            "clipboard", "files", "usb", "smartcard", "rdp", "watermark", "record", "guests", "lock_after", "speed",
            "quality", "keyboard", "sign_on", "sentences",
        )  # fmt: skip

    def get_sentences(self, policy: ConsolePolicy) -> list[str]:
        return told(policy)


class _Policy(Door):
    model: type[Pool] | type[VirtualMachine]

    def _get(self, pk: Any) -> Response:
        return Response(PolicySerializer(policy_for(find(self.actor, self.model, pk))).data)

    def _patch(self, request: Request, pk: Any) -> Response:
        obj = find(self.actor, self.model, pk)
        body = ChangedPolicy(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(PolicySerializer(set_console_policy(actor=self.actor, obj=obj, **body.validated_data)).data)


class PoolPolicy(_Policy):
    """What may pass through the consoles of a pool's desktops."""

    model = Pool

    @extend_schema(responses=PolicySerializer)
    def get(self, request: Request, pool_pk: Any) -> Response:
        """The policy; without any, one that allows all."""
        return self._get(pool_pk)

    @extend_schema(request=ChangedPolicy, responses=PolicySerializer)
    def patch(self, request: Request, pool_pk: Any) -> Response:
        """Change what is given; it holds for consoles opened from now on."""
        return self._patch(request, pool_pk)


class MachinePolicy(_Policy):
    """What may pass through the consoles of one machine; counts before its pool's."""

    model = VirtualMachine

    @extend_schema(responses=PolicySerializer)
    def get(self, request: Request, vm_pk: Any) -> Response:
        """The machine's own policy; without any, one that allows all."""
        return self._get(vm_pk)

    @extend_schema(request=ChangedPolicy, responses=PolicySerializer)
    def patch(self, request: Request, vm_pk: Any) -> Response:
        """Change what is given; it holds for consoles opened from now on."""
        return self._patch(request, vm_pk)
