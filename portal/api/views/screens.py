"""What leads to a machine's screen and is a file: its picture, and the file for remote-viewer."""

import hashlib
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.connections import rdp
from broker.connections.consent import require_own_screen
from broker.connections.viewer_wishes import ViewerWishes
from broker.connections.vv import MEDIA_TYPE, viewer_file
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt import screens
from broker.virt.models import VirtualMachine
from portal.api.base import Door
from portal.api.fields import Input
from portal.api.files import FileRenderer


class WebP(FileRenderer):
    media_type = "image/webp"
    format = "webp"


class Viewer(FileRenderer):
    media_type = MEDIA_TYPE
    format = "vv"


class Rdp(FileRenderer):
    media_type = rdp.MEDIA_TYPE
    format = "rdp"


class Wishes(Input):
    full_screen = serializers.BooleanField(required=False)
    share_usb = serializers.BooleanField(required=False, help_text="What is plugged into the computer goes along.")
    smartcard = serializers.BooleanField(required=False, help_text="Use the cards in the computer's reader.")


class FullScreen(Input):
    full_screen = serializers.BooleanField(required=False)


class Screen(Door):
    """What is on the screen now; asking for it is what makes pictures be taken."""

    renderer_classes = (WebP,)

    @extend_schema(responses={(200, "image/webp"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: Any) -> Response:
        """A WebP at most 640 wide. 404 until the first one has been taken."""
        vm = find(self.actor, VirtualMachine, pk, "vm.use")
        require_own_screen(self.actor, vm)
        screens.want([vm.pk])
        latest = screens.latest(vm.pk)
        if latest is None:
            raise Missing(N_("There is no picture of this screen yet."), fix=N_("Ask again in a few seconds."))
        picture, age = latest
        headers = {
            "Cache-Control": "private, no-cache",
            "Age": str(int(age)),
            "ETag": f'"{hashlib.sha256(picture).hexdigest()[:32]}"',
        }
        return Response(picture, content_type="image/webp", headers=headers)


class ViewerFile(Door):
    """The file with which remote-viewer opens the screen directly."""

    renderer_classes = (Viewer,)

    @extend_schema(request=Wishes, responses={(200, MEDIA_TYPE): OpenApiTypes.STR})
    def post(self, request: Request, pk: Any) -> Response:
        """The .vv file. 409 when the screen can be reached only through the browser."""
        body = Wishes(data=request.data or {})
        body.is_valid(raise_exception=True)
        vm = find(self.actor, VirtualMachine, pk)
        headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{vm.pk}.vv"'}
        wishes = ViewerWishes(**body.validated_data)
        return Response(viewer_file(self.actor, vm, wishes), content_type=MEDIA_TYPE, headers=headers)


class RdpFile(Door):
    """The file with which a Windows desktop is opened by RDP, straight at its address."""

    renderer_classes = (Rdp,)

    @extend_schema(request=FullScreen, responses={(200, rdp.MEDIA_TYPE): OpenApiTypes.BINARY})
    def post(self, request: Request, pk: Any) -> Response:
        """The .rdp file. 409 where the pool does not offer RDP, or no address is known."""
        body = FullScreen(data=request.data or {})
        body.is_valid(raise_exception=True)
        vm = find(self.actor, VirtualMachine, pk)
        headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{vm.pk}.rdp"'}
        text = rdp.rdp_file(self.actor, vm, **body.validated_data)
        return Response(text, content_type=rdp.MEDIA_TYPE, headers=headers)
