"""The picture of a machine's screen, for thumbnails."""

import hashlib
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt import screens
from broker.virt.models import VirtualMachine
from portal.api.base import Door


class WebP(BaseRenderer):
    media_type = "image/webp"
    format = "webp"
    charset = None
    render_style = "binary"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        """Bytes as they are; a problem document, which has its own content type, as JSON."""
        return data if isinstance(data, bytes) else JSONRenderer().render(data)


class Screen(Door):
    """What is on the screen now; asking for it is what makes pictures be taken."""

    renderer_classes = (WebP, JSONRenderer)

    @extend_schema(responses={(200, "image/webp"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: Any) -> Response:
        """A WebP at most 640 wide. 404 until the first one has been taken."""
        vm = find(self.actor, VirtualMachine, pk)
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
