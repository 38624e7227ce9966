"""redis-py over TLS: argv is the port and the authority's certificate."""

import sys

import redis

port, ca = int(sys.argv[1]), sys.argv[2]
for protocol in (2, 3):
    client = redis.Redis(
        host="localhost", port=port, ssl=True, ssl_ca_certs=ca, protocol=protocol, decode_responses=True
    )
    key = f"key:{protocol}"
    assert client.set(key, "value")
    assert client.get(key) == "value"
    with client.pipeline(transaction=True) as pipe:
        for number in range(1000):
            pipe.incr(f"n:{protocol}")
        assert pipe.execute() == list(range(1, 1001))
    large = "x" * (2 << 20)
    client.set("large", large)
    assert client.get("large") == large
    with client.pubsub() as listener:
        listener.subscribe("news")
        assert listener.get_message(timeout=5)["type"] == "subscribe"
        client.publish("news", "told")
        assert listener.get_message(timeout=5)["data"] == "told"
    client.close()

stranger = redis.Redis(host="localhost", port=port, ssl=True)
try:
    stranger.ping()
except redis.exceptions.ConnectionError as error:
    assert "CERTIFICATE_VERIFY_FAILED" in str(error), error
else:
    raise AssertionError("a certificate of a foreign authority was believed")
print("as from a single Redis")
