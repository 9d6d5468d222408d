"""Overwriting a file's contents with zeroes before it is deleted, through libvirt's streams.

libvirt's own wiping (9.0) gives the blocks of a sparse file back instead of overwriting them, which nearly every image
is, and keeps everybody off the storage until it has ended, without a word of how far it is. So zeroes are sent where
the file has data. They have to reach the disk before the file goes: the kernel drops what it has not written of a file
that nobody has any more. libvirt flushes no stream, but QEMU's tool flushes the file of an image that it grows; for
that the file begins with a blank image while it is being wiped.

A file system that writes elsewhere than where it is told (btrfs, ZFS, a reflink's other half) keeps the old blocks.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import libvirt

from broker.core.text import gettext_noop
from broker.virt.driver import DriverError, StorageSpec, lain_on
from broker.virt.drivers import names
from broker.virt.drivers.libvirt.disks import PART, info_if_there, volume_info, volume_xml
from broker.virt.drivers.libvirt.looking import look_up, see
from broker.virt.drivers.libvirt.transfers import Transferring, ended
from broker.virt.iscsi.store import blank

_PIECE = 1 << 20
_GAP = 64 << 10  # a hole no longer than this is filled rather than gone around
_FLUSH_EVERY = 128 << 20  # bytes between two flushes: libvirt keeps others off the storage in each of them
_SECTOR = 512
Progress = Callable[[float], None]


class Wiping(Transferring):
    """The storage of a host, whose files can be overwritten."""

    def wipe_volume(self, storage: StorageSpec, name: str, *, progress: Progress = lambda share: None) -> None:
        names.check(name)
        with self.calling():
            pool = self._pool(storage)
            see(pool)  # an image that came to lie on it behind libvirt's back has to be known
            volume = look_up(pool, name)
            if volume is None:
                return
            path = volume.path()
            for other in pool.listAllVolumes():
                # What is raw by its name lies on nothing, whatever its guest wrote at its beginning.
                if other.name().endswith(".raw") or (info := info_if_there(other)) is None:
                    continue
                if info.backing == path:
                    raise lain_on(name, info.name)
            if look_up(pool, name + PART, fresh=False) is None:
                pool.createXML(volume_xml(name + PART, capacity=0, image_format="raw"))
            self._overwrite(pool, volume, progress)

    def _overwrite(self, pool: libvirt.virStoragePool, volume: libvirt.virStorageVol, progress: Progress) -> None:
        info, length = volume_info(volume), volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2]
        spans = [(0, length)]
        if info.allocation < length:
            spans = list(self._spans(volume, length, lambda share: progress(share * 0.4)))
        size = (max(info.capacity, info.allocation, length) // _PIECE + 2) * _PIECE
        head = blank(size)
        self._put(volume, 0, len(head), [head])
        see(pool)  # now it is an image of QEMU's for libvirt, too
        if volume_info(volume).format != "qcow2":
            raise DriverError(
                gettext_noop("“%(name)s” could not be overwritten."),
                fix=gettext_noop("Look on the host who else writes to it."), name=info.name,
            )  # fmt: skip
        total, done, flushed, grown = max(sum(count for _, count in spans), 1), 0, 0, 0
        for at, count in _pieces(spans, past=len(head)):
            told = partial(_tell, progress, done, total)
            self._put(volume, at, count, _zeroes(count, told))
            done += count
            if done - flushed >= _FLUSH_EVERY:
                flushed, grown = done, grown + _SECTOR
                volume.resize(size + grown)
        volume.resize(size + grown + _SECTOR)
        self._put(volume, 0, len(head), [bytes(len(head))])  # nothing of the guest's is left below it
        progress(1.0)

    def _spans(self, volume: libvirt.virStorageVol, length: int, progress: Progress) -> Iterator[tuple[int, int]]:
        """Where the file has data; it has to be read for that, since libvirt tells of holes in a stream only."""
        stream = self.connection.newStream(0)
        begin = at = 0
        with ended(stream):
            volume.download(stream, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
            while True:
                piece = stream.recvFlags(_PIECE, libvirt.VIR_STREAM_RECV_STOP_AT_HOLE)
                if isinstance(piece, bytes):
                    if not piece:
                        break
                    at += len(piece)
                else:
                    hole = stream.recvHole()
                    if hole > _GAP:
                        if at > begin:
                            yield begin, at - begin
                        begin = at + hole
                    at += hole
                progress(min(at / max(length, 1), 1.0))
            stream.finish()
        if at > begin:
            yield begin, at - begin

    def _put(self, volume: libvirt.virStorageVol, at: int, count: int, pieces: Iterable[bytes]) -> None:
        """Write `pieces`, `count` bytes in all, in one stream: libvirt reads the whole pool anew after each."""
        stream = self.connection.newStream(0)
        with ended(stream):
            volume.upload(stream, at, count, 0)
            for piece in pieces:
                while piece:
                    piece = piece[stream.send(piece) :]
            stream.finish()


def _tell(progress: Progress, done: int, total: int, sent: int) -> None:
    progress(0.4 + 0.59 * (done + sent) / total)


def _zeroes(count: int, told: Callable[[int], None]) -> Iterator[bytes]:
    """`count` of them in pieces; `told` hears how many were taken so far, and may raise."""
    for sent in range(0, count, _PIECE):
        told(sent)
        yield bytes(min(_PIECE, count - sent))


def _pieces(spans: list[tuple[int, int]], *, past: int) -> Iterator[tuple[int, int]]:
    """The spans in pieces for one stream each, without what lies before `past`."""
    for at, count in spans:
        end = at + count
        for place in range(max(at, past), end, _FLUSH_EVERY):
            yield place, min(_FLUSH_EVERY, end - place)
