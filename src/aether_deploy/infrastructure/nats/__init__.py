"""A NATS supercluster with JetStream: who its servers are, what their files say, and what a failure leaves of it."""
