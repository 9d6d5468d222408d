"""What travels between the keeper of serial lines, the gateway and the page.

A gateway opens with one line of JSON (`Hello`). After it both sides send frames: a kind (one byte), the length (three
bytes, big endian), the payload. The guest's bytes are data and nothing else: what is told about the line has a frame
kind of its own, so no guest can forge it.
"""

import json
from dataclasses import asdict, dataclass

DATA, STATUS, TAKE, GIVE = b"d", b"s", b"t", b"g"
HEADER = 4
LONGEST_TYPED = 16 * 1024
LONGEST_HELLO = 1024


@dataclass(frozen=True, slots=True)
class Hello:
    """Who comes: the machine's id, the person's name for the others to read, whether they may type."""

    vm: str
    user: str
    write: bool

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> "Hello":
        """Raises ValueError for anything else."""
        told = json.loads(line)
        if not isinstance(told, dict) or not isinstance(told.get("vm"), str):
            raise ValueError("not the opening of a serial line")
        return cls(told["vm"], str(told.get("user", ""))[:150], told.get("write") is True)


def frame(kind: bytes, payload: bytes) -> bytes:
    return kind + len(payload).to_bytes(3, "big") + payload


def status(**told: object) -> bytes:
    return frame(STATUS, json.dumps(told).encode())
