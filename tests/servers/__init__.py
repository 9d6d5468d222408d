"""Real database and message servers for tests, private and gone afterwards."""
