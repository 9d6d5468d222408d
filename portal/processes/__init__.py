"""The processes Berth runs as, together on one machine or apart."""
