"""What is said of an agent that could not be asked."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from livia.core.drivers import Placement, Unreachable
from livia.drivers.amphora.agent import Agents, AgentTls
from livia.pki.authority import Authority, write_private


def certificate(directory: Path, authority: str, name: str) -> Path:
    """The file of a certificate and key for `name`, from the authority in a directory below."""
    path = directory / f"{authority}-{name}.pem"
    write_private(path, Authority.open(directory / authority, authority).issue(name))
    return path


def trusted(directory: Path, authority: str) -> Path:
    return Authority.open(directory / authority, authority).certificate_path


@contextmanager
def agent(context: ssl.SSLContext | None, *, hangs_up: bool = False) -> Iterator[Placement]:
    """It takes connections and says nothing: with a context, once TLS is agreed on."""
    taken: list[socket.socket] = []

    def take() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with suppress(OSError):
                if hangs_up:
                    connection.close()
                taken.append(connection if context is None else context.wrap_socket(connection, server_side=True))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=take, daemon=True).start()
        port: int = listener.getsockname()[1]
        yield Placement(compute_id="host", address="127.0.0.1", agent_port=port, agent_name="host")
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    for each in taken:
        each.close()


def told(directory: Path, placement: Placement) -> str:
    """What a controller says whose authorities are `agents` and `controllers`; without the address."""
    tls = AgentTls(
        certificate=certificate(directory, "controllers", "controller"), server_ca=trusted(directory, "agents")
    )
    with pytest.raises(Unreachable) as raised:
        Agents(tls, connect_timeout=1.0, read_timeout=0.3).observe(placement, "amphora")
    return str(raised.value).replace(f"127.0.0.1:{placement.agent_port}", "IT")


def served(directory: Path, authority: str, clients: str) -> ssl.SSLContext:
    """TLS of an agent: its certificate is from one authority, those of controllers must be from another."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(trusted(directory, clients)))
    context.load_cert_chain(certificate(directory, authority, "host"))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_one_that_is_not_there_refuses_the_connection(tmp_path: Path) -> None:
    with agent(None) as placement:
        pass
    assert told(tmp_path, placement) == "The agent at IT did not answer: Connection refused."


def test_one_that_hangs_says_nothing(tmp_path: Path) -> None:
    with agent(served(tmp_path, "agents", "controllers")) as placement:
        said = told(tmp_path, placement)
    assert said == "The agent at IT did not answer: it took the connection and said nothing in time."


def test_one_of_another_authority_is_not_talked_to(tmp_path: Path) -> None:
    with agent(served(tmp_path, "strangers", "controllers")) as placement:
        said = told(tmp_path, placement)
    assert said == (
        "The agent at IT has a certificate that is not taken (unable to get local issuer certificate): see "
        "[haproxy_amphora] server_ca and the agent's certificate."
    )


def test_one_that_knows_another_authority_does_not_talk_to_us(tmp_path: Path) -> None:
    with agent(served(tmp_path, "agents", "strangers")) as placement:
        said = told(tmp_path, placement)
    # Which of them comes first, its alert or the end of the connection, is the network's to say.
    gone = tuple(f"The agent at IT did not answer: {each}" for each in ("Connection reset", "Broken pipe"))
    assert said.startswith(("The agent at IT broke TLS off (", *gone))


def test_nothing_of_the_libraries_own_words_is_said(tmp_path: Path) -> None:
    with agent(None, hangs_up=True) as placement:
        said = told(tmp_path, placement)
    assert said.startswith("The agent at IT ")
    assert "Pool" not in said
    assert "/v1/" not in said
