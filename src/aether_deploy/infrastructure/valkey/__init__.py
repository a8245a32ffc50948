"""A Valkey cluster as a session cache: where its nodes are, what their files say, and what a failure leaves of it."""
