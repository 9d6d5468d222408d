"""App: people and groups, and where they come from."""

from django.apps import AppConfig


class DirectoriesConfig(AppConfig):
    name = "broker.directories"

    def ready(self) -> None:
        from broker.access.kinds import register

        from . import coming, kinds

        register("user", "directories.User", owner="pk", owner_verbs=("user.view",))
        register("group", "directories.Group")
        register("directory", "directories.Directory")
        kinds.discover()
        coming.note_sign_ins()
