"""The console gateway: its own process between browsers (websocket) and hypervisors (VNC).

It redeems tickets through a `TicketDesk` and knows no machine, no host and no libvirt.
"""
