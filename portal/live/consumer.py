"""/live/: tells a signed-in browser which objects changed; what changed it then reads over HTTP, with its rights."""

import asyncio
import contextlib
import json
from typing import Any

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.sessions.backends.db import SessionStore

from broker.access.actor import Actor
from broker.directories.demands import lacks
from broker.directories.models import User
from broker.events.outbox import GROUP

from .sight import Sight

SIGNED_OUT = 4401
CHECK_EVERY = 20.0
"""Seconds between looks whether the sign-in is still good: after signing out, a browser hears nothing for longer."""


class News(AsyncWebsocketConsumer):
    groups = [GROUP]
    sight: Sight | None = None
    watcher: "asyncio.Task[None] | None" = None

    async def connect(self) -> None:
        # Accepted first: a refusal before would reach the page without its close code.
        await self.accept()
        if not await self._signed_in():
            await self.close(SIGNED_OUT)
            return
        self.sight = await database_sync_to_async(Sight)(self._actor)
        self.watcher = asyncio.create_task(self._watch())

    async def disconnect(self, code: int) -> None:
        if self.watcher:
            self.watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.watcher

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Browsers have nothing to say here; whatever comes is dropped."""

    async def news(self, message: dict[str, Any]) -> None:
        """Changes, from the channel layer."""
        if self.sight is None:
            return
        for change in await database_sync_to_async(self._seen)(self.sight, message["changes"]):
            await self.send(json.dumps(change))

    @staticmethod
    def _seen(sight: Sight, changes: list[dict[str, str]]) -> list[dict[str, str]]:
        told = [{**change, "kind": change["kind"].partition(".")[0]} for change in changes]
        return [change for change in told if sight.sees(change["kind"], change["id"])]

    def _actor(self) -> Actor:
        user = User.objects.filter(pk=self.scope["user"].pk, is_active=True).first()
        return Actor.for_user(user) if user else Actor(user=None, name="anonymous")

    async def _watch(self) -> None:
        while await self._signed_in():
            await asyncio.sleep(CHECK_EVERY)
        await self.close(SIGNED_OUT)

    async def _signed_in(self) -> bool:
        user = await get_user({"session": SessionStore(self.scope["session"].session_key)})
        if not user.is_authenticated or not user.is_active:
            return False
        return not await database_sync_to_async(lacks)(user, Actor.for_user(user))
