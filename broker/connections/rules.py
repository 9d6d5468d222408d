"""The numbers of consoles, in one place."""

from datetime import timedelta

TICKET_LIFE = timedelta(seconds=30)
NATIVE = "native"
"""How a session is called whose client is a program: it shows no sign-in of its own. It ends when its person signs
out where its file came from, and goes on when that sign-in merely expires."""
ASSUMED = "viewer"
"""How a session is called that leads past the gateway: nobody vouches for it, it is taken to be there."""
NATIVE_TICKET_LIFE = timedelta(minutes=2)
"""From the click until the program on the user's computer has read the file it was given."""
CHANNELS_WITHIN = timedelta(seconds=15)
"""How long a SPICE session's ticket admits further channels, from when it was redeemed."""
TICKETS_WAITING = 20
"""Unused tickets one user may hold; a page that reconnects in a loop must not fill the table."""
SESSIONS_PER_USER = 10
SESSIONS_PER_VM = 8
GATEWAY_SILENT = timedelta(seconds=45)
"""A gateway vouches for its sessions every ten seconds; after this long without, it is gone."""
VOUCHED = timedelta(seconds=20)
"""A session last vouched for longer ago than two rounds is on no device any more, closed or not."""
USED_TICKETS_KEPT = timedelta(hours=1)
HELP_ANSWER = timedelta(minutes=2)
"""How long a question for help stands; after that it counts as not answered."""
SHARE_MOST = timedelta(days=1)
SHARES_PER_VM = 20
GUESTS_PER_SHARE = 10
GUESTS_KEPT = timedelta(days=30)
"""How long the row of somebody who came by a link, and with it the list of their sessions, outlives the link."""
MESSAGES_KEPT = timedelta(days=7)
INPUT_FRESH = timedelta(seconds=15)
"""Input within this time before a gateway's report counts as input now: a little more than it takes to come round."""
VIEWER_ASSUMED = timedelta(hours=12)
"""How long somebody who got a file for remote-viewer is taken to be at the screen."""
