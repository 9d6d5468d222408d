"""Live updates: the websocket that tells open pages what has changed."""
