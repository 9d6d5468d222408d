"""A first Berth to look at: one host, one pool of demo desktops, three people."""
