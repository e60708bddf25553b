"""The floor under the chat's speed: the smallest aiohttp server that passes the same frames on to the same sockets.

It stores nothing, checks nobody, orders nothing. `/floor?tenant=…` is an agent's socket, with `&room=…` a customer's.
"""

import json
import resource
import sys
from collections import defaultdict

from aiohttp import WSMsgType, web

Sockets = set[web.WebSocketResponse]
AGENTS: defaultdict[str, Sockets] = defaultdict(set)
CUSTOMERS: defaultdict[str, Sockets] = defaultdict(set)


async def ready(request: web.Request) -> web.Response:
    return web.Response(text="ready")


async def serve(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False, max_msg_size=65536, heartbeat=25)
    await socket.prepare(request)
    tenant, room = request.query["tenant"], request.query.get("room")
    own = CUSTOMERS[room] if room else AGENTS[tenant]
    own.add(socket)
    try:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await _pass_on(socket, tenant, message.data)
    finally:
        own.discard(socket)
    return socket


async def _pass_on(sender: web.WebSocketResponse, tenant: str, text: str) -> None:
    frame = json.loads(text)
    if frame["type"] == "auth":
        await sender.send_str('{"type":"auth.ok","payload":{}}')
        return
    for socket in [*CUSTOMERS[frame["payload"]["session_id"]], *AGENTS[tenant]]:
        if socket is not sender:
            await socket.send_str(text)


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    app = web.Application()
    app.add_routes([web.get("/floor", serve), web.get("/readyz", ready)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, backlog=2048)


if __name__ == "__main__":
    main()
