"""From an instruction and a response to token ids: the same ids in generation, likelihoods, rewards and fine-tuning.

Text written by people or models is data: a control token in it (`<|im_end|>`, `</s>`) is encoded as plain characters.
Everything else is encoded as the chat template renders it.
"""

from functools import cached_property
from itertools import count

from transformers import PreTrainedTokenizerBase

from scripts.models.template import Template, Unrenderable
from scripts.models.tokenizers import Encoder
from scripts.models.tool_forms import texts_in, with_texts
from scripts.tables.conversations import answer_of, prompt_of, tools_of
from scripts.tables.thinking import tag_at_the_end

MARK = "\ue000"  # a private-use character that replaces a text while a template is examined
# short answers of the kinds that people ask for: what joins a prompt and its answer differs between them
PROBES = ["Yes", "7", "def f(x):", "问题", "🙂", "the answer"]


class Chat:
    """One tokenizer and its chat template.

    A teacher needs `ask`, a reward model `conversation`. A base model also needs `example`: its template has to begin a
    conversation with the prompt, to write nothing between the prompt and the response, and to end a response with a
    control token; `refuse_for_base` exits if it does not. `bos` is the id that the tokenizer puts before plain text, or
    nothing.

    An instruction or a response is a text, or messages of role and content, which may have calls of tools (see
    scripts/tables/tool_calls.py) and thinking (`reasoning_content`). tools: those that a conversation offers, as JSON
    schemas. template_settings: the configuration's chat_template_kwargs, values of the template's own variables.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template_settings: dict | None = None):
        if not tokenizer.chat_template:
            name = tokenizer.name_or_path or "the model"
            raise SystemExit(f"{name} has no chat template: name a file under `chat_template` of its config entry")
        self.tokenizer = tokenizer
        self.template = Template(tokenizer, template_settings)
        self.encoder = Encoder(tokenizer)
        self.bos = start_of_text(tokenizer)

    def prompt(self, instruction: str | list[dict], tools: list[dict] | None = None) -> list[int]:
        """Ids of the conversation up to the beginning of the response. A text is one message of the user."""
        return self.ask(messages("user", instruction), tools)

    def ask(self, messages: list[dict], tools: list[dict] | None = None) -> list[int]:
        """Ids of any conversation (dicts of role and content) up to the place where the next response begins."""
        return self.encode(messages, True, tools)

    def conversation(
        self, instruction: str | list[dict], response: str | list[dict], tools: list[dict] | None = None
    ) -> list[int]:
        """Ids of the complete conversation as the template renders it; what reward models read."""
        return self.encode([*messages("user", instruction), *messages("assistant", response)], False, tools)

    def response(self, text: str) -> list[int]:
        """Ids of a response's own text as they follow a prompt."""
        return self.encoder.encode_data(text, after=self.before_response)

    def turns(self, row: dict) -> list[tuple[list[int], list[int], list[int]]]:
        """For each message of the assistant in a response: the ids before it, of its text, and of its end of turn.

        The calls of a message belong to its text, as the template writes them. One after the other, the ids are the
        conversation of the row (see scripts/tables/conversations.py) up to its last end of turn. Raises Unrenderable if
        the template renders a message in another way once others follow it.
        """
        before, tools, done, found = messages("user", prompt_of(row)), tools_of(row), [], []
        answer = messages("assistant", answer_of(row))
        for i, message in enumerate(answer, 1):
            if message["role"] == "assistant":
                finish_reason = row["finish_reason"] if i == len(answer) else "stop"
                prompt, text, end = self.example(before, [message], finish_reason, tools)
                if prompt[: len(done)] != done:
                    raise Unrenderable("the chat template renders a turn in another way once other turns follow it")
                found.append((prompt[len(done) :], text, end))
                done = prompt + text + end
            before = [*before, message]
        return found

    def example(
        self,
        instruction: str | list[dict],
        response: str | list[dict],
        finish_reason: str,
        tools: list[dict] | None = None,
    ) -> tuple[list[int], list[int], list[int]]:
        """Ids of the prompt, of the response's text, and of the end of turn, which a cut response does not have.

        response: a text or one message.

        Together they are the ids of the rendered conversation up to the end of turn, in which a template may have
        removed white space around the response. Only where a response begins with white space that the tokenizer joins
        with the end of the prompt do they differ: the prompt's ids stay those that generation starts from.
        """
        (message,) = messages("assistant", response)
        prompt, conversation = self.prompt(instruction, tools), self.conversation(instruction, [message], tools)
        end = self.end if finish_reason != "length" else []
        text = self.between(prompt, conversation)
        if text is None and "tool_calls" in message:
            raise Unrenderable("the chat template begins or ends a message with calls in another way than a text")
        if text is None and "reasoning_content" in message and self.template.thinking_field:
            raise Unrenderable("the chat template begins or ends a message with thinking in another way than a text")
        return prompt, self.response(message["content"]) if text is None else text, end

    def between(self, prompt: list[int], conversation: list[int]) -> list[int] | None:
        """Ids of a conversation after the prompt and before the end of turn; None if these two do not enclose it."""
        closing = self.end + self.tail
        if conversation[: len(prompt)] != prompt or conversation[-len(closing) :] != closing:
            return None
        return conversation[len(prompt) : -len(closing)]

    def encode(self, messages: list[dict], add_generation_prompt: bool, tools: list[dict] | None = None) -> list[int]:
        """Ids of a rendered conversation. Raises Unrenderable if the template refuses it, or leaves out some of it."""
        self.template.refuse_left_out(messages, add_generation_prompt, tools)
        data = [[message.get(name) for name in ("content", "tool_calls", "reasoning_content")] for message in messages]
        text = "".join(texts_in([data, tools]))
        if not self.encoder.pattern.search(text):
            return self.encoder.encode(self.template.render(messages, add_generation_prompt, tools))
        marks: dict[str, str] = {}
        names = (mark for mark in map("\ue000{}\ue001".format, count()) if mark not in text)

        def replaced(found) -> str:
            marks[mark := next(names)] = found[0]
            return mark

        def changed(text: str) -> str:
            return self.encoder.pattern.sub(replaced, text)

        marked = with_texts([messages, tools], changed)
        return self.encoder.encode_marked(self.template.render(marked[0], add_generation_prompt, marked[1]), marks)

    @cached_property
    def thinking_begins(self) -> str:
        """The tag with which the template ends a prompt inside the thinking, so that the model does not write it."""
        return tag_at_the_end(self.template.render([user("-")], True))

    @cached_property
    def before_response(self) -> str:
        """The template's text between its last control token and the response."""
        prompt = self.template.render([user(MARK)], True)
        return self.encoder.pattern.split(prompt.rpartition(MARK)[2])[-1]

    @cached_property
    def closing(self) -> tuple[list[int], list[int]]:
        """Ids behind a response: up to and with its first control token, and after that (a newline in Qwen's)."""
        rendered = self.template.render([user(MARK), assistant(MARK)], False)
        text = rendered.rpartition(MARK)[2]
        found = self.encoder.pattern.search(text)
        if not found:
            return [], self.encoder.encode(text)
        return self.encoder.encode(text[: found.end()]), self.encoder.encode(text[found.end() :])

    @property
    def end(self) -> list[int]:
        """Ids of the end of turn, scored and trained on as the last of a response; empty if the template has none."""
        return self.closing[0]

    @property
    def tail(self) -> list[int]:
        """Ids that the template writes after the end of turn: neither scored nor trained on."""
        return self.closing[1]

    def refuse_for_base(self) -> None:
        """Exit unless a base can be scored and trained with this template: see the class.

        Prompt, response and end of turn, encoded one after the other, have to be the ids of the rendered conversation
        for short answers of several kinds.
        """
        if not self.end:
            raise SystemExit("the chat template ends a response without a control token: put {{ eos_token }} after it")
        if problem := self.start_problem():
            raise SystemExit(problem)
        prompt = self.template.render([user(MARK)], True)
        conversation = self.template.render([user(MARK), assistant(MARK)], False)
        if not conversation.startswith(prompt.rstrip()):
            raise SystemExit(
                "the chat template renders the prompt differently once a response follows: "
                f"{prompt!r} does not begin {conversation!r}; name another file under `chat_template`"
            )
        added = conversation[len(prompt) :].partition(MARK)[0] if conversation.startswith(prompt) else ""
        if added.strip():
            raise SystemExit(
                f"the chat template writes {added!r} between the prompt and the response, which is in no prompt that "
                "the model continues; name another file under `chat_template`"
            )
        for probe in PROBES:
            together = self.between(self.prompt("-"), self.conversation("-", probe))
            if together is None or self.encoder.tokenizer.decode(together).strip() != probe:
                raise SystemExit(
                    f"the chat template joins the prompt and the response {probe!r} in one token: end its prompt with "
                    "a newline or a control token instead of a space"
                )

    def start_problem(self) -> str | None:
        """What is wrong with the start of a prompt: a BOS that the tokenizer puts before plain text is once in it."""
        n = next(i for i, token in enumerate([*self.prompt("-"), None]) if [token] != self.bos) if self.bos else 1
        if n == 1:
            return None
        token = self.tokenizer.bos_token
        written = f"does not write {token}" if n == 0 else f"writes {token} {n} times"
        return f"the chat template {written} at the start of a text: it has to be there once, {{{{ bos_token }}}}"


class PlainText:
    """One tokenizer and no chat template: the input of reference models (2402.00530, code_ifd/data_analysis.py).

    The prompt is the instruction and a newline, and a response has no end of turn.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self.encoder = Encoder(tokenizer)
        self.bos = start_of_text(tokenizer)

    def example(self, instruction: str, response: str, finish_reason: str) -> tuple[list[int], list[int], list[int]]:
        """Ids of the prompt and of the response's text."""
        prompt = self.bos + self.encoder.encode_data(f"{instruction}\n")
        return prompt, self.encoder.encode_data(response, after="\n"), []

    def turns(self, row: dict) -> list[tuple[list[int], list[int], list[int]]]:
        """The one turn of a row: a conversation is its text."""
        return [self.example(row["instruction"], row["response"], row["finish_reason"])]


def start_of_text(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The id that the tokenizer puts before plain text, its BOS; or nothing."""
    return [tokenizer.bos_token_id] if tokenizer.bos_token_id in tokenizer("").input_ids else []


def messages(role: str, content: str | list[dict]) -> list[dict]:
    """Messages as they are; a text as one message."""
    return [{"role": role, "content": content}] if isinstance(content, str) else content


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict:
    return {"role": "assistant", "content": content}
