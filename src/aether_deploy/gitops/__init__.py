"""Manifests as a GitOps tree of values: paths, kustomizations, index."""
