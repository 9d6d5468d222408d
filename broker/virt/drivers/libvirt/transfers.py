"""Volumes to and from files of this machine, through libvirt's streams: the same for a host here or far away.

Onto a storage of this very machine a file is put without libvirt, where that may be (beside.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt

from broker.virt.driver import StorageSpec, VolumeInfo, no_volume
from broker.virt.drivers import names
from broker.virt.drivers.libvirt import beside
from broker.virt.drivers.libvirt.disks import PART, Storing, volume_info, volume_xml
from broker.virt.drivers.libvirt.looking import look_up, see

_PIECE = 1 << 20


class Transferring(Storing):
    """The storage of a host, with its volumes' bytes."""

    def fetch_volume(
        self, storage: StorageSpec, name: str, target: Path, *, progress: Callable[[float], None] = lambda share: None
    ) -> None:
        names.check(name)
        with self.calling():
            volume = self._there(storage, name)
            total, done = max(volume.info()[2], 1), 0
            stream = self.connection.newStream(0)
            with ended(stream), target.open("wb") as file:
                volume.download(stream, 0, 0, 0)
                while piece := stream.recv(_PIECE):
                    file.write(piece)
                    done += len(piece)
                    progress(min(done / total, 0.99))
                stream.finish()
        progress(1.0)

    def head_of_volume(self, storage: StorageSpec, name: str, length: int) -> bytes:
        names.check(name)
        with self.calling():
            volume, head = self._there(storage, name), b""
            stream = self.connection.newStream(0)
            with ended(stream):
                volume.download(stream, 0, length, 0)
                while piece := stream.recv(_PIECE):
                    head += piece
                stream.finish()
        return head

    def _there(self, storage: StorageSpec, name: str) -> libvirt.virStorageVol:
        volume = look_up(self._pool(storage), name)
        if volume is None:
            raise no_volume(name)
        return volume

    def store_volume(
        self, storage: StorageSpec, name: str, source: Path, *, progress: Callable[[float], None] = lambda share: None
    ) -> VolumeInfo:
        names.check(name)
        with self.calling():
            pool = self._pool(storage)
            if (there := self.volume(storage, name)) is not None:
                return there
            mark = look_up(pool, name + PART)
            if mark is not None:
                see(pool)  # an earlier try may have left a half
            if (half := look_up(pool, name)) is not None:
                half.delete(0)
            mark = mark or pool.createXML(volume_xml(name + PART, capacity=0, image_format="raw"))
            here = beside.is_local(self.connection.getURI())
            if not here or not beside.put(source, Path(mark.path()), progress):
                # made as an empty file, so that it ends up with these bytes and no others
                volume = pool.createXML(volume_xml(name, capacity=0, image_format="raw"))
                self._send(volume, source, progress)
            see(pool)  # what the file is now, libvirt sees only when it looks again; until then it does not count
            if (mark := look_up(pool, name + PART)) is not None:
                mark.delete(0)
            progress(1.0)
            return volume_info(pool.storageVolLookupByName(name))

    def _send(self, volume: libvirt.virStorageVol, source: Path, progress: Callable[[float], None]) -> None:
        total, done = max(source.stat().st_size, 1), 0
        stream = self.connection.newStream(0)
        with ended(stream), source.open("rb") as file:
            volume.upload(stream, 0, source.stat().st_size, 0)
            while piece := file.read(_PIECE):
                while piece:
                    sent = stream.send(piece)
                    piece, done = piece[sent:], done + sent
                progress(min(done / total, 0.99))
            stream.finish()


@contextmanager
def ended(stream: libvirt.virStream) -> Iterator[None]:
    """A block whose stream is ended for good when something goes wrong in it."""
    try:
        yield
    except BaseException:
        try:
            stream.abort()
        except libvirt.libvirtError:
            pass  # it has ended already, which is what was wanted
        raise
