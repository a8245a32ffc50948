"""A small strict HTTP/1.1 server for answers that never wait: standard library only."""
