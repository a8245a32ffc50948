"""Effects on the disk: reading the description and its files, writing the tree."""
