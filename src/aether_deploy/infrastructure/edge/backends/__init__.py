"""What an edge can be: one that runs here, or a provider's."""
