"""Backup of the manager itself: one archive of its database and its secret key, and back again.

`manage.py backup_manager` and `manage.py restore_manager` are the doors, and
docs/keeping-the-manager.md says how to use them.
"""
