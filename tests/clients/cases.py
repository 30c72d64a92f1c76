"""What is recorded: the name of each case says transport, access and what happens."""

import dataclasses

# The clients: the present one, and the last one that knows only the revisions with a handshake.
PRESENT, LEGACY = "2.1.330", "2.0.77"
KEYS = {"full": "api_key", "readonly": "api_key", "reader": "readonly_api_key", "free": "free_api_key"}


@dataclasses.dataclass
class Case:
    """One recording. Access is `full` or `readonly` (the endpoints, with the full key), `reader` (the full endpoint
    with the read-only key) or `free` (with the key of the organisation on the Free plan)."""

    transport: str
    access: str
    what: str
    about: str
    calls: list = dataclasses.field(default_factory=list)
    errors: list = None
    client: str = PRESENT

    def __post_init__(self):
        if self.client == LEGACY:
            self.what = f"legacy-{self.what}"
        self.name = f"{self.transport}-{self.access}-{self.what}"
        self.key = KEYS[self.access]
        self.endpoint = "mcp-readonly" if self.access == "readonly" else "mcp"
        self.reads_only = self.access in ("readonly", "reader")
        if self.errors is None:
            self.errors = [False] * len(self.calls)


def ids(result, things):
    return [thing["id"] for thing in result[things]]


def primary(script):
    return next(bot["id"] for bot in script.result(0)["chatbots"] if bot["is_primary"])


def restarted(*flags, then=None):
    def arguments(script):
        script.server.restart(*flags)
        return then or {}

    return arguments


SHORTER = "You are the assistant of our shop.\nBe friendly and brief.\nIf you do not know, offer to open a ticket."

RANK = ("rank-chatbots", "List all my chatbots and tell me which one has the most conversations this month.", [
    ("list_chatbots", {}),
    ("get_analytics", {"days": 30}),
])
RETURNS = ("mentions-return", "Show me the last 10 conversations where a customer mentioned 'return'.", [
    ("list_conversations", {"query": "return", "limit": 10}),
    ("get_conversation", lambda script: {"conversation_ids": ids(script.result(0), "conversations")}),
])
REWRITE = ("rewrite-instructions", "Rewrite the instructions for chatbot #3 to be more concise and friendly.", [
    ("get_chatbot", {"chatbot_id": 3}),
    ("update_chatbot_instructions", {"chatbot_id": 3, "instructions": SHORTER}),
])
SWITCH = ("switch-model", "Switch my main chatbot to GPT-4o with temperature 0.3.", [
    ("list_chatbots", {}),
    ("update_chatbot_model", lambda script: {"chatbot_id": primary(script), "model": "gpt-4o", "temperature": 0.3}),
])
TICKETS = ("top-tickets", "What are my top support tickets right now and what patterns do you see?", [
    ("list_tickets", {"status": ["new", "in_progress"]}),
    ("get_ticket", lambda script: {"ticket_ids": ids(script.result(0), "tickets")[:10]}),
])
# A write tool is not listed for whoever only reads, so Claude Code refuses the call itself and the server hears nothing.
UNLISTED = ("unlisted-write", "A write tool is asked for where only reading is possible.", [
    ("get_chatbot", {"chatbot_id": 1}),
    ("update_chatbot_model", {"chatbot_id": 1, "temperature": 0.3}),
], [False, True])
QUOTA = ("quota", "The sixth call of a day on the Free plan.", [("list_chatbots", {})] * 6, [False] * 5 + [True])
MISTAKES = ("mistakes", "A temperature that is too high, and a chatbot that is not there.", [
    ("update_chatbot_model", {"chatbot_id": 1, "temperature": 1.1}),
    ("get_chatbot", {"chatbot_id": 99}),
    ("list_chatbots", {}),
], [True, True, False])
RESTART = ("restart", "The server is restarted between two calls.", [
    ("list_chatbots", {}),
    ("get_chatbot", restarted(then={"chatbot_id": 1})),
])
REFUSED = ("refused-write", "The operator makes the server read-only while a client is connected, which then writes.", [
    ("list_chatbots", {}),
    ("update_chatbot_model", restarted("--read-only", then={"chatbot_id": 1, "temperature": 0.3})),
    ("get_chatbot", {"chatbot_id": 1}),
], [False, True, False])

CONNECT = ("connect", "The client looks whether the server is well.", [])

CASES = [
    *(Case("http", access, *CONNECT) for access in ("full", "readonly")),
    *(Case("stdio", access, *CONNECT) for access in ("full", "reader")),
    *(Case(transport, "full", *example)
      for transport in ("http", "stdio") for example in (RANK, RETURNS, REWRITE, SWITCH, TICKETS)),
    *(Case("http", "readonly", *example) for example in (RANK, RETURNS, TICKETS, UNLISTED)),
    Case("http", "reader", *UNLISTED),
    *(Case("stdio", "reader", *example) for example in (TICKETS, UNLISTED)),
    *(Case(transport, "free", *QUOTA) for transport in ("http", "stdio")),
    *(Case(transport, "full", *MISTAKES) for transport in ("http", "stdio")),
    Case("http", "full", *RESTART),
    Case("http", "full", *REFUSED),
    *(Case(transport, "full", *CONNECT, client=LEGACY) for transport in ("http", "stdio")),
    *(Case("http", "full", *example, client=LEGACY) for example in (RESTART, REFUSED)),
    Case("http", "readonly", *RANK, client=LEGACY),
    Case("stdio", "full", *REWRITE, client=LEGACY),
    Case("stdio", "free", *QUOTA, client=LEGACY),
]
