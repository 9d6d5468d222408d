"""Berth's notes on a storage, as small raw volumes; and leaving a storage."""

import libvirt

from broker.core.text import gettext_noop
from broker.virt.driver import NOTES, Refused, StorageSpec
from broker.virt.drivers.libvirt.disks import Storing, volume_xml
from broker.virt.drivers.libvirt.looking import look_up

_PIECE = 1 << 20
_MOST = 64 << 20
_ROUND = 64 << 10  # room to grow before the slot must be made anew


class Noting(Storing):
    """The notes on a host's storage."""

    def read_notes(self, storage: StorageSpec) -> tuple[bytes, ...]:
        with self.calling():
            pool = self._pool(storage)
            found = [look_up(pool, name) for name in NOTES]
            return tuple(self._read(volume) for volume in found if volume is not None)

    def write_note(self, storage: StorageSpec, slot: int, data: bytes) -> None:
        if len(data) > _MOST:
            raise Refused(
                gettext_noop("There are too many machines on “%(name)s” to note them down there."),
                fix=gettext_noop("Spread them over several storages."),
                name=storage.name,
            )
        with self.calling():
            pool = self._pool(storage)
            volume = look_up(pool, NOTES[slot])
            if volume is not None and volume.info()[1] < len(data):
                volume.delete(0)
                volume = None
            if volume is None:
                room = (len(data) * 2 // _ROUND + 1) * _ROUND
                volume = pool.createXML(volume_xml(NOTES[slot], capacity=room, image_format="raw"))
            stream = self.connection.newStream(0)
            try:
                volume.upload(stream, 0, len(data), 0)
                sent = 0
                while sent < len(data):
                    sent += stream.send(data[sent : sent + _PIECE])
                stream.finish()
            except BaseException:
                _abort(stream)
                raise

    def release_storage(self, storage: StorageSpec) -> None:
        with self.calling():
            pool = self._find_pool(storage)
            if pool is None:
                return
            try:
                if pool.isActive():
                    pool.destroy()
                if pool.isPersistent():
                    pool.undefine()
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
                    raise  # else somebody was quicker

    def _read(self, volume: libvirt.virStorageVol) -> bytes:
        data = bytearray()
        stream = self.connection.newStream(0)
        try:
            volume.download(stream, 0, _MOST, 0)
            while piece := stream.recv(_PIECE):
                data += piece
            stream.finish()
        except BaseException:
            _abort(stream)
            raise
        return bytes(data)


def _abort(stream: libvirt.virStream) -> None:
    try:
        stream.abort()
    except libvirt.libvirtError:
        pass  # it has ended already, which is what was wanted
