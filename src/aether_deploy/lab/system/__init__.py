"""The whole platform as real processes on this machine, faults at will, and what was predicted beside what happens."""
