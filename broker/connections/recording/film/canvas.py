"""The picture as it stands, on which rectangles are painted."""

import io
import struct

from PIL import Image

from . import Unreadable

MOST_PIXELS = 5120 * 2880
Box = tuple[int, int, int, int]
"""x, y, width, height."""


class Canvas:
    """`blind`: only its size is followed, nothing is painted. `changed`: it was painted on since it was looked at."""

    def __init__(self, *, blind: bool = False):
        self.blind = blind
        self.width = self.height = 0
        self.widest = self.highest = 0
        self.changed = False
        self.picture = Image.new("RGB", (1, 1))

    def resize(self, width: int, height: int) -> None:
        """What was painted stays where it was."""
        if not 0 < width * height <= MOST_PIXELS:
            raise Unreadable("a screen of an impossible size")
        self.width, self.height = width, height
        self.widest, self.highest = max(self.widest, width), max(self.highest, height)
        if self.blind:
            return
        before, self.picture = self.picture, Image.new("RGB", (width, height))
        self.picture.paste(before, (0, 0))
        self.changed = True

    def check(self, box: Box) -> None:
        """Raises Unreadable for a rectangle outside of the picture."""
        x, y, width, height = box
        if x + width > self.width or y + height > self.height:
            raise Unreadable("a rectangle outside of the screen")

    def paint(self, box: Box, data: bytes, mode: str = "RGB") -> None:
        """`mode` as Pillow names raw pixels: RGB, or RGBX with a byte between."""
        self._put(box, Image.frombuffer("RGB", box[2:], data, "raw", mode, 0, 1))

    def paint_indexed(self, box: Box, colours: bytes, data: bytes) -> None:
        """One byte a pixel."""
        image = Image.frombuffer("P", box[2:], data, "raw", "P", 0, 1)
        image.putpalette(colours + bytes(768 - len(colours)))
        self._put(box, image.convert("RGB"))

    def paint_two(self, box: Box, colours: bytes, data: bytes) -> None:
        """One bit a pixel, the highest first, each row from a new byte on."""
        mask = Image.frombuffer("1", box[2:], data, "raw", "1", 0, 1)
        image = Image.new("RGB", box[2:], _colour(colours))
        image.paste(_colour(colours[3:]), (0, 0), mask)
        self._put(box, image)

    def paint_file(self, box: Box, data: bytes, kind: str) -> None:
        """A picture as a file of that kind, JPEG or PNG."""
        try:
            with Image.open(io.BytesIO(data), formats=(kind,)) as image:
                if image.size != box[2:]:
                    raise Unreadable("a picture of another size than its rectangle")
                self._put(box, image.convert("RGB"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise Unreadable("a picture that cannot be read") from error

    def fill(self, box: Box, colour: bytes) -> None:
        x, y, width, height = box
        self.picture.paste(_colour(colour), (x, y, x + width, y + height))
        self.changed = True

    def copy(self, box: Box, x: int, y: int) -> None:
        self.check((x, y, *box[2:]))
        if not self.blind:
            self._put(box, self.picture.crop((x, y, x + box[2], y + box[3])))

    def frame(self, width: int, height: int) -> bytes:
        """The picture in the middle of a black one of that size."""
        self.changed = False
        if self.picture.size == (width, height):
            return self.picture.tobytes()
        framed = Image.new("RGB", (width, height))
        framed.paste(self.picture, ((width - self.picture.width) // 2, (height - self.picture.height) // 2))
        return framed.tobytes()

    def _put(self, box: Box, image: Image.Image) -> None:
        self.picture.paste(image, box[:2])
        self.changed = True


def unmixed(width: int, height: int, data: bytes) -> bytes:
    """Pixels of the gradient filter: each was written as its difference from what its neighbours let expect."""
    row, out = width * 3, bytearray()
    above = bytes(row)
    for y in range(height):
        line = bytearray(row)
        for place, difference in enumerate(data[y * row : (y + 1) * row]):
            left, corner = (line[place - 3], above[place - 3]) if place >= 3 else (0, 0)
            line[place] = (difference + min(max(left + above[place] - corner, 0), 255)) & 255
        out += line
        above = bytes(line)
    return bytes(out)


def _colour(data: bytes) -> tuple[int, int, int]:
    red, green, blue = struct.unpack_from("BBB", data)
    return red, green, blue
