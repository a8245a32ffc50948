"""Processes that serve: the router and what it stands on. Sockets, clocks and files are allowed here."""
