"""What a world server must offer, tested from outside on a server that runs."""
