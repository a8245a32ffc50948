"""What edges are made of: one policy of caching, and what each back end makes of it."""
