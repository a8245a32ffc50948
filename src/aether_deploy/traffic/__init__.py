"""What sends players in the real world: each back end turns the rules of routing into what another system runs."""
