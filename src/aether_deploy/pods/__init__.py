"""What every pod of ours has, of worlds and of the data plane: resources, volumes, hardening, network rules."""
