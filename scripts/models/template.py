"""A chat template: what it makes of messages, and what it leaves out."""

import re
from datetime import datetime
from functools import cached_property

from jinja2 import Environment, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.nodes import Name
from transformers import PreTrainedTokenizerBase

from scripts.models.tool_forms import form_of, has_calls, in_form, marked

TODAY = datetime(2024, 7, 26)  # the date that templates are given, always: Llama 3's own default
GIVEN = {"messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "strftime_now"}
GIVEN |= {"raise_exception"}  # what transformers gives every template, besides the special tokens
GENERATION = re.compile(r"{%-?\s*(end)?generation\s*-?%}")  # tags that transformers adds to Jinja
# what a template may raise, since it is code
RAISED = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Unrenderable(SystemExit):
    """A chat template refuses a conversation, or fails on it; a reason of one row, not the end of a job."""

    reason = "unrenderable"


class LeftOut(Unrenderable):
    """A chat template does not write calls, results or descriptions of tools that a conversation has."""

    reason = "tools_left_out"


class Template:
    """The chat template of a tokenizer. settings: values of its own variables. messages, tools: see Chat."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: dict | None = None):
        self.tokenizer, self.settings = tokenizer, settings or {}

    def render(self, messages: list[dict], add_generation_prompt: bool, tools: list[dict] | None = None) -> str:
        """The text of a conversation. Raises Unrenderable if the template refuses it."""
        if has_calls(messages):
            if not self.call_form:
                raise LeftOut("the chat template leaves out calls of tools")
            messages = in_form(messages, self.call_form)
        return self.apply(messages, add_generation_prompt, tools)

    def apply(self, messages: list[dict], add_generation_prompt: bool, tools: list[dict] | None = None) -> str:
        """What the template makes of messages; thinking is in the field that it reads."""
        how = {"tokenize": False, "add_generation_prompt": add_generation_prompt, "strftime_now": TODAY.strftime}
        how |= self.settings
        try:
            messages = self.with_thinking(messages)
            return self.tokenizer.apply_chat_template(messages, **how, **({"tools": tools} if tools else {}))
        except (TemplateError, *RAISED) as error:
            raise Unrenderable(f"the chat template cannot be used: {error}") from None

    def variables(self) -> set[str]:
        """The variables that the template reads and that transformers does not set: those of chat_template_kwargs."""
        text = GENERATION.sub("", str(self.tokenizer.chat_template))
        parsed = Environment(extensions=["jinja2.ext.loopcontrols"]).parse(text)
        own = {name.name for name in parsed.find_all(Name) if name.ctx == "store"}  # some only in a branch
        return find_undeclared_variables(parsed) - own - GIVEN - set(self.tokenizer.special_tokens_map)

    @cached_property
    def thinking_field(self) -> str | None:
        """The field of a message in which the template reads thinking; None if it reads none."""
        text = str(self.tokenizer.chat_template)
        if "reasoning_content" in text:
            return "reasoning_content"
        return "thinking" if re.search(r"""[.]thinking\b|["']thinking["']""", text) else None  # of gpt-oss

    def with_thinking(self, messages: list[dict]) -> list[dict]:
        """Messages whose thinking (reasoning_content) is in the field that the template reads, or left out."""
        return [in_field(m, self.thinking_field) if "reasoning_content" in m else m for m in messages]

    @cached_property
    def call_form(self) -> tuple | None:
        """How the template takes calls of tools; None if it does not write any."""

        def rendered(messages: list[dict]) -> str | None:
            try:
                return self.apply(messages, add_generation_prompt=False)
            except Unrenderable:
                return None

        return form_of(rendered)

    def refuse_left_out(self, messages: list[dict], add_generation_prompt: bool, tools: list[dict] | None) -> None:
        """Raise LeftOut if the template does not write everything about tools that a conversation has."""
        if not tools and not has_calls(messages):
            return
        messages, tools, marks = marked(messages, tools)
        text = self.render(messages, add_generation_prompt, tools)
        if left_out := {what for mark, what in marks.items() if mark not in text}:
            raise LeftOut(f"the chat template leaves out {' and '.join(sorted(left_out))}")


def in_field(message: dict, name: str | None) -> dict:
    """A message with its reasoning_content under another name; without it for None."""
    plain = {key: value for key, value in message.items() if key != "reasoning_content"}
    return plain | ({name: message["reasoning_content"]} if name else {})
