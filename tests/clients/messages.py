"""A stand-in for the Messages API on loopback: instead of a model, a script decides which tools are called."""

import http.server
import json
import threading

# What the client is told to do; agents that it starts by itself are told other things, and have other tools.
PROMPT = "Make the scripted calls."
USAGE = {"input_tokens": 1, "output_tokens": 1}


class Script:
    """The calls to ask for, one after the other.

    A call is (tool, arguments); arguments may be a function of the results so far, and of whatever else it likes to
    do before the call is made. `results` are the tools' answers as the model was handed them, `errors` says of each
    whether it was an error.
    """

    def __init__(self, calls):
        self.calls, self.asked, self.results, self.errors = calls, {}, [], []

    def next_block(self, messages):
        """What the model says after these messages: a tool call, or that it is done."""
        blocks = [block for message in messages if isinstance(message["content"], list) for block in message["content"]]
        answers = [block for block in blocks if block.get("type") == "tool_result"]
        self.results = [text_of(block) for block in answers]
        self.errors = [bool(block.get("is_error")) for block in answers]
        turn = len(answers)
        if turn >= len(self.calls):
            return {"type": "text", "text": "Done."}
        if turn not in self.asked:  # A request that is sent again gets the same answer.
            tool, arguments = self.calls[turn]
            self.asked[turn] = (tool, arguments(self) if callable(arguments) else arguments)
        tool, arguments = self.asked[turn]
        return {"type": "tool_use", "id": f"toolu_{turn}", "name": f"mcp__chaterimo__{tool}", "input": arguments}

    def result(self, turn):
        """The JSON that a tool answered."""
        return json.loads(self.results[turn])


def text_of(block):
    content = block.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def serve(script, port):
    """Serves the script until the answer's `shutdown` is called."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            if "count_tokens" in self.path:
                return self.answer({"input_tokens": 1})
            if not self.path.startswith("/v1/messages"):
                return self.answer({"type": "error", "error": {"type": "not_found_error", "message": self.path}}, 404)
            is_ours = body.get("tools") and PROMPT in json.dumps(body["messages"][0])
            block = script.next_block(body["messages"]) if is_ours else {"type": "text", "text": "Done."}
            message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "usage": USAGE,
                       "content": [block], "stop_sequence": None,
                       "stop_reason": "tool_use" if block["type"] == "tool_use" else "end_turn"}
            if body.get("stream"):
                self.answer(b"".join(events(message, block)), kind="text/event-stream")
            else:
                self.answer(message)

        def do_GET(self):
            self.answer({"type": "error", "error": {"type": "not_found_error", "message": self.path}}, 404)

        do_HEAD = do_GET

        def answer(self, value, status=200, kind="application/json"):
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def events(message, block):
    """The message as the server-sent events of a streamed answer."""
    is_call = block["type"] == "tool_use"
    start = {**block, "input": {}} if is_call else {"type": "text", "text": ""}
    delta = ({"type": "input_json_delta", "partial_json": json.dumps(block["input"])} if is_call
             else {"type": "text_delta", "text": block["text"]})
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    for kind, fields in [
        ("message_start", {"message": {**message, "content": [], "stop_reason": None}}),
        ("content_block_start", {"index": 0, "content_block": start}),
        ("content_block_delta", {"index": 0, "delta": delta}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": stop, "usage": {"output_tokens": 1}}),
        ("message_stop", {}),
    ]:
        yield f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
