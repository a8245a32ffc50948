"""Scaling by player count: the settings, the decision, and the autoscaler that carries it out."""
