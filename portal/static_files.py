"""Where the pages find their static files: by names that change with the content."""

from typing import Any

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class StaticFiles(ManifestStaticFilesStorage):
    """As its base; the addresses, of which a page has dozens, are made once: the manifest is read at the start."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._addresses: dict[str, str] = {}

    def url(self, name: Any, force: bool = False) -> str:
        """The address of one of the files. Raises ValueError for one that is not in the manifest."""
        if force:
            return super().url(name, force)
        if name not in self._addresses:
            self._addresses[name] = super().url(name)
        return self._addresses[name]

    def post_process(self, *args: Any, **kwargs: Any) -> Any:
        """Names are made anew here."""
        self._addresses.clear()
        yield from super().post_process(*args, **kwargs)
