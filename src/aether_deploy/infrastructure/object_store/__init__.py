"""What object stores are made of: buckets, what each provider can do, and a store of one's own."""
