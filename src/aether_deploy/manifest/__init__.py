"""Manifests as values: names, labels, order, and their YAML text."""
