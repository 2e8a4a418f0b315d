"""The roles of messages, and how data sets spell them."""

ROLES = {
    "system": ["system", "developer"],
    "user": ["user", "human", "prompter"],
    "assistant": ["assistant", "gpt", "chatgpt", "model", "bot"],
    "tool": ["tool", "function", "observation", "ipython", "environment"],
}
ROLE_OF = {spelling: role for role, spellings in ROLES.items() for spelling in spellings}


def written_role(message: dict):
    """The role of a message as it is written: in `role`, or in ShareGPT's `from`."""
    return message.get("role") or message.get("from")


def role_of(message: dict) -> str | None:
    """system, user, assistant or tool; None if the role is none of them or missing."""
    written = written_role(message)
    return ROLE_OF.get(written.strip().lower()) if isinstance(written, str) else None
