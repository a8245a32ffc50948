"""Real object stores on this machine, from our own arguments and files."""
