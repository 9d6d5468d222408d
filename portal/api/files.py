"""Answers that are files and not JSON."""

from typing import Any

from rest_framework.renderers import BaseRenderer, JSONRenderer


class FileRenderer(BaseRenderer):
    """Bytes and text as they are; a problem document, which has its own content type, as JSON."""

    charset = None
    render_style = "binary"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        if isinstance(data, str):
            return data.encode()
        return data if isinstance(data, bytes) else JSONRenderer().render(data)
