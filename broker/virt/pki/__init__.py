"""The certificates of hosts: Berth's own authority, how a host is enrolled, how what it has is renewed."""
