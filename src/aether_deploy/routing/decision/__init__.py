"""The decision: which region takes a player, and why."""
