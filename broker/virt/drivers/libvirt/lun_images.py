"""Images to and from LUNs: copied, grown, and their bytes. What an image lies on is flattened in a file on the way.

The way leads over the worker: it reads the image where it can (on its own host), or has the host copy it and fetches
the copy; then it writes to the LUN itself. Room for the image is needed in TEMPORARY meanwhile.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import R_OK, access
from pathlib import Path

from broker.core.text import gettext_noop
from broker.virt.driver import LUN_PATHS, DriverError, StorageSpec, Unsupported, VolumeInfo
from broker.virt.drivers import names
from broker.virt.drivers.libvirt.backups import BackingUp
from broker.virt.drivers.libvirt.copies import Copying
from broker.virt.drivers.libvirt.disks import volume_xml
from broker.virt.drivers.libvirt.looking import look_up
from broker.virt.drivers.libvirt.luns import Lunning
from broker.virt.drivers.libvirt.transfers import ended
from broker.virt.iscsi import qcow2, store, transfer
from broker.virt.iscsi.session import INITIATOR

TEMPORARY = "/var/tmp"  # noqa: S108 - in a directory of its own there, which nobody else may enter
_POLL = 0.2
_PIECE = 1 << 20
Progress = Callable[[float], None]


class LunImages(Lunning, BackingUp, Copying):
    """The images of a host's storages, LUNs and others."""

    def copy_volume(
        self,
        storage: StorageSpec,
        name: str,
        *,
        source: VolumeInfo,
        progress: Progress = lambda share: None,
        raw: bool = False,
    ) -> VolumeInfo:
        """Onto a LUN, at least as large as `source.capacity` says: it cannot be grown there before it runs."""
        names.check(name)
        if storage.kind != "iscsi" and not _on_lun(source):
            return super().copy_volume(storage, name, source=source, progress=progress, raw=raw)
        if raw:
            raise Unsupported(
                gettext_noop("Images are copied to and from LUNs as qcow2 only."),
                fix=gettext_noop("Choose another storage."),
            )
        if (there := self.volume(storage, name)) is not None:
            return there
        with _folder() as folder:
            flat = folder / "flat.qcow2"
            self._flatten(source, folder, flat, lambda share: progress(share / 2))
            if storage.kind != "iscsi":
                return super().store_volume(storage, name, flat, progress=lambda share: progress(0.5 + share / 2))
            with flat.open("rb") as file:
                size = qcow2.capacity(file.read(512))
            if size < source.capacity:
                _image("resize", "-q", "-f", "qcow2", str(flat), str(source.capacity))
            return self.store_volume(storage, name, flat, progress=lambda share: progress(0.5 + share / 2))

    def fetch_volume(
        self, storage: StorageSpec, name: str, target: Path, *, progress: Progress = lambda share: None
    ) -> None:
        if storage.kind != "iscsi":
            super().fetch_volume(storage, name, target, progress=progress)
            return
        names.check(name)
        with store.opened(storage) as shelf:
            transfer.fetch(shelf, name, target, progress)
        progress(1.0)

    def head_of_volume(self, storage: StorageSpec, name: str, length: int) -> bytes:
        if storage.kind != "iscsi":
            return super().head_of_volume(storage, name, length)
        names.check(name)
        with store.opened(storage) as shelf:
            return transfer.head(shelf, name, length)

    def store_volume(
        self, storage: StorageSpec, name: str, source: Path, *, progress: Progress = lambda share: None
    ) -> VolumeInfo:
        if storage.kind != "iscsi":
            return super().store_volume(storage, name, source, progress=progress)
        names.check(name)
        with store.opened(storage) as shelf:
            transfer.store(shelf, name, source, progress)
            made = next(one for one in store.listed(shelf, storage.name) if one.name == name)
        progress(1.0)
        return made

    def checksum(self, storage: StorageSpec, name: str, *, progress: Progress = lambda share: None) -> tuple[str, int]:
        if storage.kind != "iscsi":
            return super().checksum(storage, name, progress=progress)
        names.check(name)
        with store.opened(storage) as shelf:
            return transfer.checksum(shelf, name, progress)

    def grow_disk(self, uuid: str, target: str, storage: StorageSpec, name: str, size: int) -> None:
        if storage.kind != "iscsi":
            super().grow_disk(uuid, target, storage, name, size)
            return
        names.check(name)
        with self.calling():
            runs = bool(self.domain(uuid).isActive())
        with store.opened(storage) as shelf:
            store.grow(shelf, name, size)
            if not runs:
                if qcow2.capacity(transfer.head(shelf, name, 512)) < size:
                    _resize_on_lun(shelf, name, storage, size)
                return
        super().grow_disk(uuid, target, storage, name, size)

    # -- on the way ----------------------------------------------------------------------------------------------

    def _flatten(self, source: VolumeInfo, folder: Path, flat: Path, progress: Progress) -> None:
        """The whole disk as one image in the file `flat`, without what QEMU noted down beside it."""
        if _on_lun(source):
            pool, _, volume = source.path.removeprefix(f"{LUN_PATHS}/").partition("/")
            with self.calling():
                spec = self.told(pool)
            got = folder / "lun.qcow2"
            self.fetch_volume(spec, volume, got, progress=lambda share: progress(share / 2))
            _convert(got, "qcow2", flat, lambda: progress(0.5))
        elif self.local and access(source.path, R_OK):
            _convert(Path(names.check_path(source.path)), source.format, flat, lambda: progress(0.0))
        else:
            self._fetch_flat(source, flat, progress)

    def _fetch_flat(self, source: VolumeInfo, flat: Path, progress: Progress) -> None:
        """The host makes a flat copy beside the image, which is fetched and removed."""
        with self.calling():
            origin = self._origin(source)
            pool = origin.storagePoolLookupByVolume()
            name = f"{names.check(source.name)}.flat"
            if (left := look_up(pool, name)) is not None:
                left.delete(0)
            xml = volume_xml(name, capacity=source.capacity)
            try:
                self._copy(pool, xml, origin, source.allocation, lambda share: progress(share / 2))
                copy = pool.storageVolLookupByName(name)
                total, done = max(copy.info()[2], 1), 0
                stream = self.connection.newStream(0)
                with ended(stream), flat.open("wb") as file:
                    copy.download(stream, 0, 0, 0)
                    while piece := stream.recv(_PIECE):
                        file.write(piece)
                        done += len(piece)
                        progress(0.5 + min(done / total, 0.99) / 2)
                    stream.finish()
            finally:
                if (left := look_up(pool, name)) is not None:
                    left.delete(0)


def _on_lun(volume: VolumeInfo) -> bool:
    return volume.path.startswith(f"{LUN_PATHS}/")


def _resize_on_lun(shelf: store.Shelf, name: str, storage: StorageSpec, size: int) -> None:
    """The image of a machine that is off; QEMU's tool speaks to the target, and is given the password in a file."""
    entry = shelf.table().find(name)
    assert entry is not None, "it was grown in the table"
    image = {
        "driver": "qcow2", "file.driver": "iscsi", "file.transport": "tcp", "file.target": shelf.session.target,
        "file.portal": shelf.session.portal, "file.lun": str(entry.lun), "file.initiator-name": INITIATOR,
    }  # fmt: skip
    with _folder() as folder:
        login = []
        if storage.user:
            secret = folder / "secret"
            secret.touch(mode=0o600)
            secret.write_text(storage.password)
            login = ["--object", f"secret,id=chap,file={_quoted(str(secret))}"]
            image |= {"file.user": storage.user, "file.password-secret": "chap"}
        told = ",".join(f"{key}={_quoted(value)}" for key, value in image.items())
        _image("resize", "-q", *login, "--image-opts", told, str(size))


def _quoted(value: str) -> str:
    """For QEMU's options, where a comma ends a value."""
    return value.replace(",", ",,")


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="berth-lun-", dir=TEMPORARY) as folder:
        yield Path(folder)


def _convert(source: Path, image_format: str, target: Path, tick: Callable[[], None]) -> None:
    """`tick` may raise to end it."""
    _image("convert", "-f", image_format, "-O", "qcow2", "-o", "compat=1.1", str(source), str(target), tick=tick)


def _image(*words: str, tick: Callable[[], None] = lambda: None) -> None:
    with subprocess.Popen(["qemu-img", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            while True:
                try:
                    _, told = process.communicate(timeout=_POLL)
                    break
                except subprocess.TimeoutExpired:
                    tick()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise DriverError(
            gettext_noop("The image could not be copied (%(reason)s)."),
            fix=gettext_noop("Look at the image, and at the room on the worker: qemu-img check."),
            reason=told.decode(errors="replace").strip()[:300],
        )
