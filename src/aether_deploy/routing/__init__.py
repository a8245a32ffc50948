"""Routing of players to regions."""
