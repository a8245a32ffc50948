"""Real Valkey clusters on this machine, from the files that are rendered for Kubernetes."""
