"""Against a real QEMU: its own SPICE server on a unix socket, through the gateway."""

import os
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_public_key

from broker.gateway.desk import Target

from .fakes import start_gateway, stop_gateway, until
from .spice_fakes import Pipe, link
from .test_qemu import qemu
from .test_spice_sessions import Browser

pytestmark = [pytest.mark.asyncio, pytest.mark.lab, pytest.mark.timeout(120)]


async def shake(pipe: Pipe, kind: int, connection: int = 0) -> None:
    await pipe.send(link(kind, 0, connection))
    (size,) = struct.unpack("<12xI", await pipe.read(16))
    error, key = struct.unpack_from("<I162s", await pipe.read(size))
    assert error == 0
    oaep = padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)
    await pipe.send(struct.pack("<I", 1) + load_der_public_key(key).encrypt(b"\0", oaep))
    assert await pipe.read(4) == bytes(4)


@pytest.mark.parametrize("view_only", [False, True])
async def test_main_and_display_of_a_real_machine(tmp_path, view_only):
    path = tmp_path / "spice.sock"
    with qemu("-spice", f"unix=on,addr={path},disable-ticketing=on"):
        await until(lambda: os.path.exists(path), 60)
        gateway = await start_gateway("picows")
        way = Browser(gateway)
        secret = way.issue(Target(unix=str(path)), view_only=view_only)
        async with way.open(secret) as main, way.open(secret) as display:
            await shake(main, 1)
            kind, begun = await main.message()
            while kind != 103:
                kind, begun = await main.message()
            await main.send(struct.pack("<HI", 104, 0))
            while kind != 104:
                kind, body = await main.message()
            channels = {body[at] for at in range(4, len(body), 2)}
            assert {2, 4} <= channels
            assert (3 in channels) is not view_only, "the input channel is offered to who may type, and to no other"
            await shake(display, 2, struct.unpack_from("<I", begun)[0])
            await display.send(struct.pack("<HIBQBI", 101, 14, 1, 1 << 20, 1, 0))
            (console,) = gateway.floor.consoles.all()
            while console.alive().picture is None:
                await display.message()
        await stop_gateway(gateway)
