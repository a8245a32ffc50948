"""An ephemeral real control plane on this machine, and what happens on it."""
