"""The main job, played from outside: the real server, a real host, a real browser."""
