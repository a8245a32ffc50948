"""Health probes: the settings and the fragments of a container that they become."""
