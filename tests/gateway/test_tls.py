"""TLS towards browsers."""

import ssl

import pytest


@pytest.mark.parametrize(
    "order", ["ECDHE+CHACHA20:ECDHE+AES128:ECDHE+AES256", "ECDHE+AES128:ECDHE+AES256", "ECDHE+AES256:ECDHE+AES128"]
)
def test_the_browsers_order_of_ciphers_counts(server_tls, order):
    """Shown with TLS 1.2: of 1.3, Python's client cannot set the order."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(order)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(down, up), server_tls.wrap_bio(up, down, server_side=True)
    for _ in range(3):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    name, _, _ = ends[0].cipher()
    first = order.partition(":")[0].rpartition("+")[2]
    assert first in name
