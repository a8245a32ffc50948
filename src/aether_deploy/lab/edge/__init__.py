"""Real edges on this machine, from our own files."""
