"""Player traces, and what autoscalers make of them: replays, comparisons, proofs about a policy."""
