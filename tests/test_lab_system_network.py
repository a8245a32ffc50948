"""What lies between members of a lab: addresses that are waited for, relays that can be cut, fronts, and names."""

import contextlib
import itertools
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from aether_deploy.lab.names import answer_to
from aether_deploy.lab.system.network import HOST, Address, Network, Server
from aether_deploy.problems import EffectError
from tests.lab_workload_cases import FAR, NEAR, PATIENCE_SECS, wait_for

SOON_SECS = 0.3


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@contextlib.contextmanager
def echo(word: bytes = b"") -> Iterator[Address]:
    """A server that gives back each line that it is sent, with a word of its own before it."""
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=_serve, args=(listener, word), daemon=True).start()
        yield Address(HOST, listener.getsockname()[1])


def _serve(listener: socket.socket, word: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_echo, args=(client, word), daemon=True).start()


def _echo(client: socket.socket, word: bytes) -> None:
    with client, contextlib.suppress(OSError):
        while data := client.recv(4096):
            client.sendall(word + data)


@contextlib.contextmanager
def datagrams(word: bytes) -> Iterator[Address]:
    """The same for datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind((HOST, 0))
        threading.Thread(target=_send_back, args=(here, word), daemon=True).start()
        yield Address(HOST, here.getsockname()[1])


def _send_back(here: socket.socket, word: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, who = here.recvfrom(4096)
            here.sendto(word + data, who)


def said(address: Address, word: bytes = b"hello") -> bytes:
    with socket.create_connection(address, PATIENCE_SECS) as client:
        client.sendall(word)
        return client.recv(4096)


def sent(address: Address, word: bytes = b"hello", *, within_secs: float = PATIENCE_SECS) -> bytes:
    """Return what comes back for a datagram of somebody new; empty where nothing does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(within_secs)
        client.connect(address)
        client.send(word)
        with contextlib.suppress(OSError):
            return client.recv(4096)
    return b""


def dead() -> Address:
    with socket.create_server((HOST, 0)) as listener:
        return Address(HOST, listener.getsockname()[1])


# --- addresses


def test_who_asks_before_a_member_has_its_port_waits_for_it(network: Network) -> None:
    server, found = Server("accounts", NEAR, "postgresql"), list[Address]()
    asking = threading.Thread(target=lambda: found.append(network.find(server)))
    asking.start()

    network.publish(server, Address(HOST, 5432))
    asking.join(PATIENCE_SECS)

    assert found == [Address(HOST, 5432)]


def test_what_never_comes_is_said_and_so_is_the_end_of_the_lab(network: Network) -> None:
    with pytest.raises(EffectError, match=r"^accounts in us-east-1 never said where its port sql is$"):
        network.find(Server("accounts", NEAR, "sql"), within_secs=0.01)

    waiting = threading.Thread(target=_fails, args=(network,))
    waiting.start()
    network.close()
    waiting.join(PATIENCE_SECS)
    assert not waiting.is_alive()


def test_who_opens_fronts_while_the_lab_ends_is_told() -> None:
    for turn in range(20):
        network = Network()
        openers = [threading.Thread(target=_opens_until_the_end, args=(network,), daemon=True) for _ in range(3)]
        for each in openers:
            each.start()
        time.sleep(0.001 * turn)
        network.close()
        for each in openers:
            each.join(PATIENCE_SECS)

        assert [each for each in openers if each.is_alive()] == [], f"turn {turn}"


def _opens_until_the_end(network: Network) -> None:
    with pytest.raises(EffectError, match=r"^the lab ends, and its network with it\n  fix: "):
        _open_fronts(network)


def _open_fronts(network: Network) -> None:
    for number in itertools.count():
        network.front(Server("gateway", NEAR, f"{threading.get_ident()}-{number}"), list)


def _fails(network: Network) -> None:
    with pytest.raises(EffectError, match=r"^nobody said a word$"):
        network.noted("a word")


def test_members_tell_each_other_words(network: Network) -> None:
    network.note("who vouches for gateway", "/a/file")

    assert network.noted("who vouches for gateway") == "/a/file"


# --- links


def test_a_region_reaches_its_own_servers_directly_and_others_through_one_relay(network: Network) -> None:
    with echo() as address:
        server = Server("gateway", FAR, "http")
        network.publish(server, address)

        own, others = network.reach(FAR, server), [network.reach(NEAR, server) for _ in range(3)]

        assert own == address
        assert others == [others[0]] * 3
        assert own not in others
        assert said(others[0]) == b"hello"


def test_a_cut_holds_back_what_goes_between_two_regions_and_nothing_else(network: Network) -> None:
    pair = frozenset((NEAR, FAR))
    with echo() as address:
        server = Server("gateway", FAR, "http")
        network.publish(server, address)
        cut, whole = network.reach(NEAR, server), network.reach("ap-south-1", server)
        with socket.create_connection(cut, PATIENCE_SECS) as client:
            client.sendall(b"before")
            before = client.recv(4096)
            network.cut(pair)
            client.sendall(b"held")
            client.settimeout(SOON_SECS)
            with pytest.raises(TimeoutError):
                client.recv(4096)
            others = (said(whole), said(network.reach(FAR, server)))
            network.join(pair)
            client.settimeout(PATIENCE_SECS)
            after = client.recv(4096)

    assert (before, others, after) == (b"before", (b"hello", b"hello"), b"held")


def test_a_relay_that_is_opened_after_a_cut_is_cut_too(network: Network) -> None:
    pair = frozenset((NEAR, FAR))
    network.cut(pair)
    with echo() as address:
        network.publish(Server("gateway", FAR, "http"), address)
        with socket.create_connection(network.reach(NEAR, Server("gateway", FAR, "http")), PATIENCE_SECS) as client:
            client.settimeout(SOON_SECS)
            client.sendall(b"hello")

            with pytest.raises(TimeoutError):
                client.recv(4096)


def test_datagrams_are_passed_on_and_lost_while_two_regions_are_cut(network: Network) -> None:
    pair = frozenset((NEAR, FAR))
    with datagrams(b"far ") as address:
        server = Server("voice-relay", FAR, "rtp")
        network.publish(server, address, "UDP")
        relay = network.reach(NEAR, server)
        before = sent(relay)
        network.cut(pair)
        lost = sent(relay, within_secs=SOON_SECS)
        network.join(pair)

        assert (before, lost, sent(relay)) == (b"far hello", b"", b"far hello")


def test_each_sender_of_datagrams_hears_his_own_answers(network: Network) -> None:
    with datagrams(b"") as address:
        front = network.front(Server("voice-relay", FAR, "rtp"), lambda: [address], "UDP")
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
        for number, client in enumerate(clients):
            client.settimeout(PATIENCE_SECS)
            client.connect(front)
            client.send(str(number).encode())

        heard = [client.recv(64) for client in clients]
        for client in clients:
            client.close()

    assert heard == [str(number).encode() for number in range(20)]


# --- fronts


def test_a_front_leads_to_the_first_that_takes_the_connection(network: Network) -> None:
    with echo(b"one ") as one, echo(b"two ") as two:
        front = network.front(Server("gateway", NEAR, "http"), lambda: [dead(), two, one])

        assert said(front) == b"two hello"
        assert network.find(Server("gateway", NEAR, "http")) == front


def test_a_front_before_nobody_ends_connections_and_answers_no_datagram(network: Network) -> None:
    front = network.front(Server("gateway", NEAR, "http"), lambda: [dead()])
    silent = network.front(Server("gateway", NEAR, "rtp"), list, "UDP")

    with contextlib.suppress(ConnectionError):
        assert said(front) == b""
    assert sent(silent, within_secs=SOON_SECS) == b""


def test_a_sender_whose_server_is_gone_is_led_to_the_next(network: Network) -> None:
    with datagrams(b"two ") as two, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        with datagrams(b"one ") as one:
            targets = [one, two]
            front = network.front(Server("voice-relay", NEAR, "rtp"), lambda: targets, "UDP")
            client.settimeout(PATIENCE_SECS)
            client.connect(front)
            client.send(b"hello")
            first = client.recv(4096)
        targets.pop(0)
        client.settimeout(SOON_SECS)

        def is_led_on() -> bool:
            client.send(b"hello")
            with contextlib.suppress(TimeoutError):
                return client.recv(4096) == b"two hello"
            return False

        wait_for("the other server", is_led_on)

    assert first == b"one hello"


def test_an_address_that_is_taken_is_said(network: Network) -> None:
    with echo() as taken:
        network.publish(Server("gateway", FAR, "https"), taken)

        with pytest.raises(EffectError, match=rf"^127.0.0.1:{taken.port} cannot be listened at: "):
            network.reach_at(NEAR, Server("gateway", FAR, "https"), taken)


def test_an_address_of_our_choosing_leads_to_a_server_within_its_region_too(network: Network) -> None:
    with echo() as address:
        free = dead()
        network.publish(Server("gateway", FAR, "https"), address)

        network.reach_at(FAR, Server("gateway", FAR, "https"), free)

        assert said(free) == b"hello"


# --- names


def question(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    return struct.pack("!HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


NAMES = {"gateway.small-prod.svc": ["127.9.9.1", "127.9.9.2"]}
ANSWERS = {
    "a name that is known": ("gateway.small-prod.svc", 1, 0, 2),
    "the same in capitals": ("GATEWAY.small-prod.SVC", 1, 0, 2),
    "a name that has no such record": ("gateway.small-prod.svc", 28, 0, 0),
    "a name that nobody has": ("gateway.other.svc", 1, 3, 0),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_a_name_server_knows_its_names_and_no_others(case: str) -> None:
    name, kind, code, count = ANSWERS[case]
    asked = question(name, kind)

    answer = answer_to(asked, NAMES)

    number, flags, questions, answers = struct.unpack("!HHHH", answer[:8])
    assert (number, flags & 0xF, questions, answers) == (0x1234, code, 1, count)
    assert answer[12:].startswith(asked[12:])
    if count:
        assert [answer[-4:], answer[-20:-16]] == [socket.inet_aton("127.9.9.2"), socket.inet_aton("127.9.9.1")]


def test_a_name_server_outlives_whatever_it_is_sent(network: Network) -> None:
    where = network.serve_names(NAMES)
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(SOON_SECS)
        for _ in range(300):
            client.sendto(chance.randbytes(chance.randrange(40)), where)

        def knows() -> bool:
            client.sendto(question("gateway.small-prod.svc"), where)
            with contextlib.suppress(TimeoutError):  # what no buffer holds is lost
                return client.recv(512)[-4:] == socket.inet_aton("127.9.9.2")
            return False

        wait_for(f"an answer after noise of seed {seed}", knows)
