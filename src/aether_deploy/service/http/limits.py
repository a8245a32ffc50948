"""What a server allows its clients."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on what clients may ask of a server. Times are counted by a clock that ticks ``tick_secs``.

    Attributes:
        request_line_bytes: Longest request line; beyond it 414.
        head_bytes: Longest head, request line included; beyond it 431.
        headers: Most header fields; beyond it 431.
        body_bytes: Longest body; beyond it 413.
        head_secs: From the first byte of a request (or the begin of a connection) to the end of its head; then 408.
        body_secs: From there to the end of its body; then 408.
        idle_secs: A connection without a request is closed after that long.
        stall_secs: A client that has not read what waits for it after that long is dropped.
        linger_secs: How long a client may still talk after an error, so that it can read the answer.
        connections: Open connections; one more is told 503 and closed.
        streams: Open streams; one more is told 503.
        peer_connections: Of the connections those of one address, of IPv6 one network of 64 bits; one more is told 429
            and closed. In proportion fewer where the process may open fewer files than ``connections`` needs. Behind a
            proxy or a NAT an address is many clients, so this is much: it only keeps one from having all.
        peer_streams: Of the streams those of one address; one more is told 429.
        stream_bytes: What a stream may hold for a slow reader; beyond it the reader is dropped.
        heartbeat_secs: Pause between two signs of life on an event stream.
        drain_idle_secs: A server that stops still answers on idle connections for that long.
        drain_secs: A server that stops cuts what is still open after that long.
        tick_secs: Grain of all these times.
    """

    request_line_bytes: int = 8192
    head_bytes: int = 16_384
    headers: int = 100
    body_bytes: int = 65_536
    head_secs: float = 10.0
    body_secs: float = 10.0
    idle_secs: float = 75.0
    stall_secs: float = 20.0
    linger_secs: float = 2.0
    connections: int = 16_000
    streams: int = 256
    peer_connections: int = 4000
    peer_streams: int = 64
    stream_bytes: int = 262_144
    heartbeat_secs: float = 15.0
    drain_idle_secs: float = 0.25
    drain_secs: float = 20.0
    tick_secs: float = 0.25
