"""The Python SDK as a client of one call; prints one line of JSON.

    python client.py SERVER MODE [--token TOKEN] OPERATION

SERVER     an MCP URL, or `stdio:COMMAND ARG...`
MODE       legacy | auto | a revision such as 2026-07-28, which is then insisted on
           | sse, the transport of 2024-11-05
OPERATION  list | call TOOL JSON | prompts | prompt NAME JSON | resources | read URI
           | try TOOL JSON [TOOL JSON], which lists and then calls each

The line has `revision`, `elapsed_ms`, `result` or `error`, what the server `asked` the client for,
and the `notifications` that arrived. It answers every question of the server: to forms with a value
of the right kind, to sampling with `sampled`. The exit code is 1 after an error. `node/client.mjs`
does the same with the TypeScript SDK.
"""

import json
import logging
import os
import sys
import time

import anyio
import httpx2
from mcp import Client, MCPError, StdioServerParameters, types
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

# A server of another era is an outcome here, not something to warn of.
logging.disable(logging.CRITICAL)


async def main() -> int:
    server, mode, token, operation, args = parse(sys.argv[1:])
    asked: list[str] = []
    notifications: list[str] = []
    line: dict[str, object] = {"revision": None}
    started = time.monotonic()
    try:
        async with connection(server, mode, token, asked, notifications) as client:
            line["revision"] = client.protocol_version
            result = await perform(client, operation, args, notifications)
            line["result"] = dumped(result)
    except Exception as error:
        line["error"] = described(error)
    line["elapsed_ms"] = round((time.monotonic() - started) * 1000)
    print(json.dumps(line | {"asked": asked, "notifications": notifications}))
    return 1 if "error" in line else 0


def parse(words: list[str]) -> tuple[str, str, str | None, str, list[str]]:
    token = None
    if "--token" in words:
        at = words.index("--token")
        token = words[at + 1]
        del words[at : at + 2]
    if len(words) < 3:
        print("use: client.py SERVER MODE [--token TOKEN] OPERATION", file=sys.stderr)
        sys.exit(2)
    server, mode, operation, *args = words
    return server, mode, token, operation, args


def connection(
    server: str, mode: str, token: str | None, asked: list[str], notifications: list[str]
) -> Client:
    async def elicited(_context, params):
        asked.append("elicitation/create")
        return types.ElicitResult(action="accept", content=filled_in(params.requested_schema))

    async def sampled(_context, _params):
        asked.append("sampling/createMessage")
        content = types.TextContent(type="text", text="sampled")
        return types.CreateMessageResult(role="assistant", content=content, model="test")

    async def roots(_context):
        asked.append("roots/list")
        return types.ListRootsResult(roots=[types.Root(uri="file:///test/root", name="root")])

    async def logged(_params):
        notifications.append("notifications/message")

    return Client(
        transport_to(server, mode, token),
        mode="legacy" if mode == "sse" else mode,
        client_info=types.Implementation(name="ostiary-test-python", version="1.0.0"),
        elicitation_callback=elicited,
        sampling_callback=sampled,
        list_roots_callback=roots,
        logging_callback=logged,
    )


def filled_in(schema: dict) -> dict:
    """A form with every field filled in: its default, its first choice, or something of its type."""

    def value(field: dict):
        if "default" in field:
            return field["default"]
        if field.get("type") == "array":
            return [value(field["items"])]
        choices = [choice["const"] for choice in field.get("oneOf", field.get("anyOf", []))]
        for choice in field.get("enum", choices):
            return choice
        return {"boolean": True, "integer": 1, "number": 1.5}.get(field.get("type"), "filled in")

    return {key: value(field) for key, field in schema["properties"].items()}


def transport_to(server: str, mode: str, token: str | None):
    if server.startswith("stdio:"):
        command, *args = server.removeprefix("stdio:").split(" ")
        return StdioServerParameters(command=command, args=args, env=dict(os.environ))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if mode == "sse":
        return sse_client(server, headers=headers)
    http = httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=300))
    return streamable_http_client(server, http_client=http)


async def perform(client: Client, operation: str, args: list[str], notifications: list[str]):
    async def progressed(_progress, _total, _message):
        notifications.append("notifications/progress")

    def arguments() -> dict:
        return json.loads(args[1]) if len(args) > 1 else {}

    match operation:
        case "list":
            return await client.list_tools()
        case "call":
            return await client.call_tool(args[0], arguments(), progress_callback=progressed)
        case "try":
            tools = [tool.name for tool in (await client.list_tools()).tools]
            calls = zip(args[::2], args[1::2])
            results = [dumped(await client.call_tool(name, json.loads(given))) for name, given in calls]
            return {"tools": tools, "results": results}
        case "prompts":
            return await client.list_prompts()
        case "prompt":
            return await client.get_prompt(args[0], arguments())
        case "resources":
            return await client.list_resources()
        case "read":
            return await client.read_resource(args[0])
    raise ValueError(f"unknown operation {operation}")


def dumped(result):
    if isinstance(result, dict):
        return result
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


def described(error: BaseException) -> dict[str, object]:
    """The first error that says something: task groups wrap what happened in them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MCPError):
        return {"code": error.error.code, "message": error.error.message, "data": error.error.data}
    return {"message": str(error) or type(error).__name__}


sys.exit(anyio.run(main))
