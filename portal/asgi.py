"""The ASGI application: Django for HTTP, Channels for live updates."""

import os
import warnings

# WhiteNoise answers with files that are read in a thread; Django remarks on it at each one.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")

from portal.http import application as django_application  # noqa: E402 - the settings module must be named first

http = django_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402 - apps must be loaded first
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import OriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402

from portal.live.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http,
        # OriginValidator compares scheme, host and port; Channels' AllowedHosts one compares the host alone.
        "websocket": OriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)), settings.ORIGINS),
    }
)
