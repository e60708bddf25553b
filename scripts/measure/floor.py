"""The floor under the receiver's speed: the smallest honest Flask app that stores a webhook's bytes in Redis.

It parses nothing and checks nothing; one script call of one command, no ticket. Served by scripts/measure/webhooks.py
exactly as the receiver is: same gunicorn, worker class, number of workers.
"""

import redis
from flask import Flask, request

PUSH = "return redis.call('RPUSH', KEYS[1], ARGV[1])"


def create_app(redis_url: str) -> Flask:
    app = Flask(__name__, static_folder=None)
    client = redis.Redis.from_url(redis_url)
    push = client.register_script(PUSH)

    @app.post("/allocate-agent/webhook")
    def webhook() -> dict[str, str]:
        push(keys=["floor"], args=[request.get_data()])
        return {"status": "queued"}

    return app
