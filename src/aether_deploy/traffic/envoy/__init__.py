"""Envoy at the edge: its arithmetic, its configuration for one region, and how soon it sends players elsewhere."""
