"""The data plane: what each component is, what of it runs where, and what a failure does to it."""
