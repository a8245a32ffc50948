"""Objects that components of all kinds are made of, hardened alike."""
