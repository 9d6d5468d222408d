"""Local users: their password hash is in our own database. The break-glass way in when LDAP is down."""

from django.contrib.auth.hashers import make_password

from broker.directories.models import Directory, User


class Local:
    name = "local"

    def authenticate(self, directory: Directory, username: str, password: str) -> User | None:
        user = User.objects.filter(directory=directory, username__iexact=username).first()
        if user is None:
            make_password(password)  # as much work as a check, so that time does not tell who exists
            return None
        return user if user.check_password(password) and user.is_active else None


KIND = Local()
