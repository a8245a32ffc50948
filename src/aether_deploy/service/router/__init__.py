"""The router as a process: it asks regions how they are, answers players, and tells operators."""
