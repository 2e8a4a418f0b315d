"""What is wrong with the chat template of a model, in its role: of a base, of a judge, or with settings of its own."""

from pathlib import Path

from scripts.judgments.judge_templates import PLACEHOLDERS, fill_template, read_template
from scripts.models.chat import Chat


def unread_settings(entry: dict, chat: Chat) -> str | None:
    """Which keys of chat_template_kwargs the chat template never reads, and what its own variables are."""
    if not (settings := entry.get("chat_template_kwargs")):
        return None
    own = chat.template.variables()
    if not (unread := sorted(set(settings) - own)):
        return None
    known = f"its own variables are {', '.join(sorted(own))}" if own else "it has no variables of its own"
    return f"chat_template_kwargs: its chat template never reads {', '.join(unread)}; {known}"


def wrong_template(section: str, entry: dict, chat: Chat) -> list[str]:
    """Why a base cannot be scored and trained with its template, or a file that replaces a model's own is wrong."""
    try:
        if section == "bases":
            chat.refuse_for_base()
        problem = chat.start_problem() if entry["chat_template"] else None
    except SystemExit as refused:
        problem = str(refused)
    return [problem] if problem else []


def refused_templates(entry: dict, chat: Chat) -> list[str]:
    """The templates of judges whose messages the judge's own chat template refuses, such as one of the system."""
    problems = []
    for path in entry.get("judge_templates", []):  # only judges have some
        try:
            chat.ask(fill_template(read_template(Path(path)), **dict.fromkeys(PLACEHOLDERS, "-")))
        except SystemExit as refused:
            problems.append(f"{path} cannot be its prompt: {refused}")
    return problems
