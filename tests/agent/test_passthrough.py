"""HTTPS listeners pass TLS on: what client and member agree on is between them."""

from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import PoolProtocol
from tests.agent.lab import listener, member, pool
from tests.agent.site import Site
from tests.agent.tls_site import Client, serve_tls
from tests.keymaterial import ROOT, Holder


def test_the_session_is_between_client_and_member(site: Site) -> None:
    site.apply(
        (pool(member(1, port=443), protocol=PoolProtocol.HTTPS),),
        listener(protocol=ListenerProtocol.HTTPS, port=443),
    )
    holder = Holder("member.example.net", dns_names=("member.example.net",), issuer=ROOT)
    process = serve_tls(site.lab, site.members, "far", holder)
    client = Client(site.lab, site.client)
    try:
        answer = client.ask(name="member.example.net", alpn=("http/1.1",), headers={"X-Forwarded-For": "6.6.6.6"})
    finally:
        process.kill()
        process.wait()
    assert (answer.name, answer.shown, answer.version) == ("far", "member.example.net", "TLSv1.3")
    assert (answer.seen["tls-sni"], answer.seen["tls-alpn"]) == ("member.example.net", "http/1.1")
    assert answer.seen["tls-cipher"] == answer.cipher
    # Nobody on the way has read or changed the request.
    assert answer.seen["x-forwarded-for"] == "6.6.6.6"
