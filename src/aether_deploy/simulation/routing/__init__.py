"""Routing in simulations: the loss of regions, logs decided again, and the health of regions."""
