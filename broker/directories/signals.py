"""What the other packages are told about users within the transaction: unlike news, it is never lost."""

from django.dispatch import Signal

# Sent with `user` and `actor`. A receiver that raises takes the new password back.
password_set = Signal()
