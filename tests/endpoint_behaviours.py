"""What endpoints do, and what must follow from it: one line for each behaviour, and a server on loopback that does it.

The wording of the errors is that of public reports on the servers.
"""

import json
import threading
import time
from collections import Counter
from email.utils import formatdate
from http.server import ThreadingHTTPServer
from typing import NamedTuple

from fault_server import Handler

HARMONY = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>fine"
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
LONG, FILTER = "prompt_over_long", "content_filter"


class Behaviour(NamedTuple):
    reply: object  # status and body, or the name of a method of the server; or a function from the request to them
    outcome: str  # of a row that meets it: stored | aside (in the table, not stored) | failed
    expected: str | None  # the text or reason that is stored, the reason that is set aside, a part of the message
    requests: int = 1  # for the row, with one retry; 2 if it is retried


def completion(content, finish_reason="stop", usage=USAGE, **message):
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": content}}
    choice["message"] |= message
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    return 200, body | ({"usage": usage} if usage else {})


def error(message, status=400, **fields):
    return status, {"error": {"message": message, **fields}}


def text(kind, content):
    return {"type": kind, kind: content}


STORED = {
    "an answer": Behaviour(completion("fine"), "stored", "fine"),
    "cut": Behaviour(completion("and so", "length"), "stored", "and so"),
    "cut, in other words": Behaviour(completion("and so", "max_tokens"), "stored", "and so"),
    "ended, in other words": Behaviour(completion("fine", "eos_token"), "stored", "fine"),
    "ended, as Gemini's own API says": Behaviour(completion("fine", "FINISH_REASON_STOP"), "stored", "fine"),
    "without finish_reason": Behaviour(completion("fine", None), "stored", "fine"),
    "without usage": Behaviour(completion("fine", usage=None), "stored", "fine"),
    "in parts": Behaviour(completion([text("text", "fi"), text("text", "ne")]), "stored", "fine"),
    "in parts with thinking": Behaviour(
        completion([{"type": "thinking", "thinking": [text("text", "hm")]}, text("text", "fine")]), "stored", "fine"
    ),
    "in parts of other forms": Behaviour(
        completion(["fi", {"text": "ne"}, {"type": "text", "text": None}, {"type": "image_url", "image_url": "x"}]),
        "stored",
        "fine",
    ),
    "usage that is no number": Behaviour(completion("fine", usage={"completion_tokens": "5"}), "stored", "fine"),
    "thinking beside it": Behaviour(completion("fine", reasoning_content="hm"), "stored", "fine"),
    "thinking beside it, OpenRouter": Behaviour(completion("fine", reasoning="hm"), "stored", "fine"),
    "thinking beside it, twice": Behaviour(
        completion("fine", reasoning_content="hm", reasoning="hm"), "stored", "fine"
    ),
    "thinking in it": Behaviour(completion("<think>hm</think>\n\nfine"), "stored", "<think>hm</think>\n\nfine"),
    "thinking in it, prefilled": Behaviour(completion("hm\n</think>\n\nfine"), "stored", "hm\n</think>\n\nfine"),
    "thinking in it, Harmony": Behaviour(completion(HARMONY), "stored", HARMONY),
    "cut in the thinking": Behaviour(completion("<think>hm and", "length"), "stored", "<think>hm and"),
    "a refusal of the model": Behaviour(completion(None, refusal="I cannot"), "stored", "I cannot"),
    "half a character": Behaviour(completion("\ud83d"), "stored", "undecodable"),
    "an empty answer": Behaviour(completion(" "), "stored", "empty"),
    "a filtered answer": Behaviour(completion("", "content_filter"), "stored", FILTER),
    "a filtered answer, Gemini": Behaviour(completion(None, "SAFETY"), "stored", FILTER),
    "a filtered answer, Gemini of 2026": Behaviour(completion("", "content_filter: PROHIBITED"), "stored", FILTER),
    "a filtered answer, Bedrock": Behaviour(completion("", "guardrail_intervened"), "stored", FILTER),
}
ASIDE = {
    "too long, OpenAI": Behaviour(
        error(
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            code="context_length_exceeded",
        ),
        "aside",
        LONG,
    ),
    "too long, Anthropic": Behaviour(error("prompt is too long: 210000 tokens > 200000 maximum"), "aside", LONG),
    "too long, llama.cpp": Behaviour(
        error("the request exceeds the available context size, try increasing it", type="exceed_context_size_error"),
        "aside",
        LONG,
    ),
    "too long, with 500": Behaviour(error("the request exceeds the available context size", 500), "aside", LONG),
    "too long, vLLM": Behaviour(
        (
            400,
            {"object": "error", "message": "The decoder prompt (length 5000) is longer than the maximum model length"},
        ),
        "aside",
        LONG,
    ),
    "too long, vLLM of 2026": Behaviour(
        error(
            "You passed 9000 input tokens and requested 0 output tokens. However, the model's context length is only "
            "8192 tokens, resulting in a maximum input length of 8192 tokens.",
            param="input_tokens",
        ),
        "aside",
        LONG,
    ),
    "too long, no room": Behaviour(error("max_tokens must be at least 1, got -186."), "aside", LONG),
    "too long, Bedrock": Behaviour((400, {"message": "Input is too long for requested model."}), "aside", LONG),
    "too long, TGI": Behaviour(
        (422, {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000"}), "aside", LONG
    ),
    "too long, Mistral": Behaviour(
        (400, {"message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model"}), "aside", LONG
    ),
    "too long, Gemini": Behaviour(
        (
            400,
            [{"error": {"code": 400, "message": "The input token count (9000) exceeds the maximum"}}],
        ),
        "aside",
        LONG,
    ),
    "too long, Vertex": Behaviour(
        error("the input token count is 40000 but the model only supports up to 32768."), "aside", LONG
    ),
    "too long, xAI": Behaviour(
        error("This model's maximum prompt length is 131072 but the request contains 200000 tokens."), "aside", LONG
    ),
    "too long, SGLang": Behaviour(
        (400, {"object": "error", "message": "The input (9000 tokens) is longer than the model's context length."}),
        "aside",
        LONG,
    ),
    "too long, DashScope": Behaviour(error("Range of input length should be [1, 30720]"), "aside", LONG),
    "too long, in characters": Behaviour(
        error("Invalid 'messages[0].content': string too long.", code="string_above_max_length"), "aside", LONG
    ),
    "too long, in bytes, Anthropic": Behaviour(error("Too large", 413, type="request_too_large"), "aside", LONG),
    "too long, Zhipu": Behaviour(error("Prompt 超长", code="1261"), "aside", LONG),
    "filtered, Azure": Behaviour(
        error("The response was filtered due to the prompt triggering Azure's policy.", code="content_filter"),
        "aside",
        FILTER,
    ),
    "filtered, OpenAI": Behaviour(
        error("Invalid prompt: your prompt was flagged as potentially violating our policy.", code="invalid_prompt"),
        "aside",
        FILTER,
    ),
    "filtered, OpenRouter": Behaviour(
        error("openai/x requires moderation on OpenAI. Your input was flagged for violence.", 403, code=403),
        "aside",
        FILTER,
    ),
    "filtered, DeepSeek": Behaviour(error("Content Exists Risk", type="invalid_request_error"), "aside", FILTER),
    "filtered, xAI": Behaviour(error("Content violates usage guidelines.", 403), "aside", FILTER),
    "filtered, Zhipu": Behaviour(error("输入或生成内容可能包含不安全或敏感内容", code="1301"), "aside", FILTER),
    "filtered, MiniMax": Behaviour(
        (200, {"choices": None, "base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}),
        "aside",
        FILTER,
    ),
    "filtered, in detail": Behaviour((400, {"detail": "Content Exists Risk"}), "aside", FILTER),
    "filtered, DashScope": Behaviour(
        error("Input data may contain inappropriate content.", code="data_inspection_failed"), "aside", FILTER
    ),
}
FAILED = {
    "max_tokens beyond the context, vLLM": Behaviour(
        error(
            "'max_tokens' or 'max_completion_tokens' is too large: 200. This model's maximum context length is 256 "
            "tokens and your request has 90 input tokens (200 > 256 - 90).",
            param="max_tokens",
        ),
        "failed",
        "lower sampling.max_new_tokens, or let the server accept more",
    ),
    "prompt and answer beyond the context": Behaviour(
        error(
            "This model's maximum context length is 256 tokens. However, you requested 290 tokens (90 in the "
            "messages, 200 in the completion). Please reduce the length of the messages or completion."
        ),
        "failed",
        "lower sampling.max_new_tokens",
    ),
    "prompt and answer beyond the context, vLLM of 2026": Behaviour(
        error(
            "You passed 90 input tokens and requested 200 output tokens. However, the model's context length is only "
            "256 tokens, resulting in a maximum input length of 56 tokens. (parameter=input_tokens, value=90)",
            param="input_tokens",
        ),
        "failed",
        "lower sampling.max_new_tokens",
    ),
    "prompt and answer beyond the context, Bedrock": Behaviour(
        error(
            "This model's maximum context length is 256 tokens. However, you requested 200 output tokens and your "
            "prompt contains at least 90 input tokens, for a total of at least 290 tokens."
        ),
        "failed",
        "lower sampling.max_new_tokens",
    ),
    "prompt and answer beyond the context, TGI": Behaviour(
        (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 256. Given: 90 and 200"}),
        "failed",
        "lower sampling.max_new_tokens",
    ),
    "prompt and answer beyond the context, Anthropic": Behaviour(
        error("input length and `max_tokens` exceed context limit: 90 + 200 > 256, decrease input length"),
        "failed",
        "lower sampling.max_new_tokens",
    ),
    "prompt and answer beyond the context, Groq": Behaviour(
        error("Please reduce the length of the messages or completion.", code="context_length_exceeded"),
        "failed",
        "lower sampling.max_new_tokens",
    ),
    "an unknown refusal": Behaviour(error("We cannot serve this."), "failed", "(400): We cannot serve this."),
    "an unknown 403": Behaviour(error("Not for you.", 403), "failed", "PermissionDeniedError (403): Not for you."),
    "a refusal in detail": Behaviour((400, {"detail": "We cannot serve this."}), "failed", "We cannot serve this."),
    "a refusal as text in error": Behaviour((400, {"error": "Odd characters."}), "failed", "(400): Odd characters."),
    "a refusal in a list": Behaviour(
        (400, [{"error": {"message": "Odd request.", "status": "INVALID_ARGUMENT"}}]), "failed", "(400): Odd request."
    ),
    "a refusal beside error": Behaviour((400, {"error": True, "message": "Odd."}), "failed", "(400): Odd."),
    "a refusal in errors": Behaviour((400, {"errors": [{"message": "Odd."}]}), "failed", "(400): Odd."),
    "a refusal with odd fields": Behaviour(
        (400, {"choices": [None], "metadata": "none", "loc": "body.x", "msg": "Odd."}), "failed", "Odd. (body.x)"
    ),
    "an empty refusal": Behaviour((400, b""), "failed", "BadRequestError (400)"),
    "a refusal for legal reasons": Behaviour(error("Not in your country", 451), "failed", "(451): Not in your country"),
    "a refusal as a page": Behaviour(
        (403, b"<html><style>a {}</style><script>x()</script><title>Attention required</title></html>"),
        "failed",
        "(403): Attention required",
    ),
    "a refusal as plain text": Behaviour((400, b"Odd\ncharacters."), "failed", "(400): Odd characters."),
    "a refusal as JSON without message": Behaviour((400, {"why": "odd"}), "failed", '(400): {"why": "odd"}'),
    "a refusal of a field, FastAPI": Behaviour(
        (422, {"detail": [{"loc": ["body", "messages", 0], "msg": "Value error"}]}),
        "failed",
        "Value error (body.messages.0)",
    ),
    "a refusal of a provider behind OpenRouter": Behaviour(
        error("Provider returned error", metadata={"raw": "tokenizer failed"}), "failed", "error (tokenizer failed)"
    ),
    "a request too large": Behaviour(error("Request too large for model m", 413), "failed", "(413): Request too large"),
    "an error in a 200, to be retried": Behaviour(
        (200, {"error": {"message": "Upstream gone", "code": 502}}), "failed", "(502): Upstream gone", 2
    ),
    "an error in a 200, rate": Behaviour((200, {"error": "Rate limit reached"}), "failed", "Rate limit reached", 2),
    "an error in a 200": Behaviour((200, {"error": "No such template"}), "failed", "(400): No such template"),
    "an error in a 200, FastChat": Behaviour(
        (200, {"object": "error", "message": "bad role", "code": 40001}), "failed", "(400): bad role"
    ),
    "an error in a 200, in a list": Behaviour((200, [{"error": {"message": "Odd."}}]), "failed", "(400): Odd."),
    "an error in a 200, in detail": Behaviour((200, {"detail": "Odd."}), "failed", "(400): Odd."),
    "an error in a 200, Zhipu": Behaviour((200, {"code": 500, "msg": "系统繁忙"}), "failed", "(500): 系统繁忙", 2),
    "an error in a choice": Behaviour(
        (200, {"choices": [{"finish_reason": "error", "error": {"message": "cut off", "code": 502}}]}),
        "failed",
        "(502): cut off",
        2,
    ),
    "finish_reason error": Behaviour(completion("and so", "error"), "failed", "finish_reason error", 2),
    "finish_reason of an overloaded server": Behaviour(
        completion("and", "insufficient_system_resource"), "failed", "finish_reason insufficient_system_resource", 2
    ),
    "finish_reason abort": Behaviour(completion("", "abort"), "failed", "finish_reason abort", 2),
    "a call of a tool": Behaviour(completion(None, "tool_calls"), "failed", "finish_reason tool_calls"),
    "thinking used the budget": Behaviour(
        completion("", "length", reasoning_content="hm"), "failed", "thinking used all of sampling.max_new_tokens"
    ),
    "hidden thinking used the budget": Behaviour(completion(None, "length"), "failed", "thinking used all"),
    "thinking of which only the total is reported, Gemini": Behaviour(
        completion("", usage=USAGE | {"total_tokens": 900}), "failed", "thought and wrote no answer"
    ),
    "thinking in it and no answer": Behaviour(
        completion("<think>hm</think>\n"), "failed", "thought and wrote no answer"
    ),
    "thinking in it up to the limit": Behaviour(
        completion("<think>hm</think>\n", "length"), "failed", "thinking used all of sampling.max_new_tokens"
    ),
    "thinking and no answer": Behaviour(completion("", reasoning="hm"), "failed", "thought and wrote no answer"),
    "empty and unfinished": Behaviour(completion("", None), "failed", "empty and unfinished"),
    "busy": Behaviour(error("slow down", 429), "failed", "RateLimitError (429): slow down", 2),
    "busy, Gemini": Behaviour(
        error("You exceeded your current quota. Please retry in 0.2s.", 429), "failed", "current quota", 2
    ),
    "busy, for today": Behaviour(
        error("Rate limit reached for m on tokens per day (TPD). Please try again in 1h2m.", 429), "failed", "per day"
    ),
    "busy, Gemini, a list": Behaviour(
        (
            429,
            [{"error": {"message": "Resource has been exhausted (check quota).", "status": "RESOURCE_EXHAUSTED"}}],
        ),
        "failed",
        "(429): Resource has been exhausted",
        2,
    ),
    "busy, for an hour": Behaviour("later", "failed", "(429): wait"),
    "busy until a time": Behaviour("dated", "failed", "(503): maintenance", 2),
    "busy, Bedrock": Behaviour((400, {"message": "Too many requests, please wait"}), "failed", "Too many requests", 2),
    "too many tokens per minute for one row": Behaviour(
        error("Request too large for m on tokens per minute (TPM): Limit 6000, Requested 9000", 413),
        "failed",
        "(413): Request too large",
    ),
    "broken": Behaviour(error("oops", 500), "failed", "InternalServerError (500): oops", 2),
    "overloaded, Anthropic": Behaviour(error("Overloaded", 529), "failed", "(529): Overloaded", 2),
    "a page of a proxy": Behaviour((502, b"<html><b>Bad gateway</b></html>"), "failed", "(502): Bad gateway", 2),
    "silence": Behaviour("hang", "failed", "APITimeoutError: Request timed out", 2),
    "a broken connection": Behaviour("reset", "failed", "APIConnectionError: Connection error", 2),
    "a connection that breaks in the middle": Behaviour("broken_off", "failed", "APIConnectionError: Connection", 2),
    "a connection that ends in the middle": Behaviour("too_short", "failed", "APIConnectionError: Connection", 2),
    "half a reply": Behaviour("torn", "failed", 'not a chat completion: {"id": "1", "choi'),
    "a page": Behaviour("garbage", "failed", "not a chat completion: it works!"),
    "no choices": Behaviour("hollow", "failed", 'not a chat completion: {"id": "1", "choices": []}'),
    "no message": Behaviour((200, {"choices": [{"finish_reason": "stop"}]}), "failed", "not a chat completion"),
    "nothing": Behaviour((200, b""), "failed", "not a chat completion: nothing"),
    "a stream": Behaviour((200, b'data: {"choices": []}'), "failed", "not a chat completion: data:"),
    "another path for one row, OpenRouter": Behaviour(
        error("No endpoints found that can handle the requested parameters.", 404),
        "failed",
        "(404): No endpoints found",
    ),
}
# the same to every request
CLOSED = {
    "a wrong key": (error("Incorrect API key", 401), "Incorrect API key (the key is that of TEST_KEY)"),
    "no credits, OpenRouter": (error("Insufficient credits", 402), "Insufficient credits"),
    "no quota, OpenAI": (error("You exceeded your current quota, please check", 429), "exceeded your current quota"),
    "no quota, Moonshot": (error("suspended", 429, type="exceeded_current_quota_error"), "suspended"),
    "no credits, Anthropic": (error("Your credit balance is too low"), "Your credit balance is too low"),
    "no credits, Zhipu": (error("余额不足或无可用资源包,请充值。", 429, code="1113"), "余额不足"),
    "no credits, in Chinese": (error("用户额度不足", 403), "用户额度不足"),
    "no requests left today, OpenRouter": (
        error("Rate limit exceeded: free-models-per-day", 429),
        "free-models-per-day",
    ),
    "no quota for today, Gemini": (
        (
            429,
            [{"error": {"message": "Quota exceeded: requests per day. Please retry in 34s.", "code": 429}}],
        ),
        "requests per day",
    ),
    "a limit of the key, OpenRouter": (error("Key limit exceeded (total limit)", 403), "Key limit exceeded"),
    "a wrong key, Gemini": ((400, [{"error": {"message": "API key not valid."}}]), "(400): API key not valid."),
    "a retired model": (
        error("The model `m` does not exist", 404),
        "name another model (the endpoint has m-2024-04-09",
    ),
    "temperature, GPT-5": (
        error("Unsupported value: 'temperature' does not support 0 with this model.", param="temperature"),
        "(set sampling.temperature: null)",
    ),
    "temperature and top_p, Claude": (
        error("`temperature` and `top_p` cannot both be specified for this model."),
        "(set sampling.temperature: null; set sampling.top_p: null)",
    ),
    "max_tokens, o1": (
        error("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."),
        "(set openai.max_tokens_name: max_completion_tokens)",
    ),
    "max_tokens out of range": (
        error("Invalid max_tokens value, the valid range of max_tokens is [1, 128]"),
        "(lower sampling.max_new_tokens",
    ),
    "max_tokens out of range, DashScope": (error("Range of max_tokens should be [1, 128]"), "(lower sampling.max_new"),
    "max_tokens out of range, Anthropic": (
        error("max_tokens: 200 > 128, which is the maximum allowed number of output tokens for m"),
        "(lower sampling.max_new_tokens",
    ),
    "seed, Mistral": (
        (422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}),
        "Extra inputs are not permitted (body.seed) (set sampling.seed: null)",
    ),
    "an option": (error("Unrecognized request argument supplied: top_k"), "(remove top_k from sampling.options)"),
    "a context as long as the answer": (
        error("max_tokens is too large: 200. This model's context length is 200 and there are 9 input tokens."),
        "(lower sampling.max_new_tokens",
    ),
    "everything is flagged": (error("Your account was flagged.", 403), "Your account was flagged."),
    "broken": (error("oops", 500), "InternalServerError (500): oops"),
    "no reply": ("reset", "APIConnectionError: Connection error."),
    "a page": ("garbage", "not a chat completion"),
    "an unknown path, LM Studio": (
        (200, {"error": "Unexpected endpoint or method. (POST /v1/chat/completions)"}),
        "Unexpected endpoint or method",
    ),
    "all thinking": (completion("", "length"), "fails for every request: thinking used all of sampling.max_new_tokens"),
}


class BehaviourServer(ThreadingHTTPServer):
    """`replies` maps a prompt to a reply (see Behaviour), and None to that of all others; else they are answered."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), BehaviourHandler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.lock = threading.Lock()
        self.forget()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def forget(self, replies=()):
        self.replies, self.asked, self.bodies, self.headers = dict(replies), Counter(), [], []


class BehaviourHandler(Handler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][0]["content"]
        with self.server.lock:
            self.server.asked[prompt] += 1
            self.server.bodies.append(body)
            self.server.headers.append((self.path, self.headers))
            reply = self.server.replies.get(prompt) or self.server.replies.get(None) or completion(prompt[::-1])
        reply = reply(body) if callable(reply) else reply
        if isinstance(reply, str):
            return getattr(self, reply)(prompt)
        self.send(*reply)

    def hang(self, prompt):
        time.sleep(2.5)

    def too_short(self, prompt):
        self.send_response(200)
        self.send_header("Content-Length", "500")
        self.end_headers()
        self.wfile.write(b'{"id": "1", "choi')
        self.wfile.flush()
        self.close_connection = True

    def broken_off(self, prompt):
        self.too_short(prompt)
        self.reset(prompt)

    def later(self, prompt):
        self.send(429, {"error": {"message": "wait"}}, {"Retry-After": "3600"})

    def dated(self, prompt):
        in_a_second = formatdate(time.time() + 1, usegmt=True)
        self.send(503, {"error": {"message": "maintenance"}}, {"Retry-After": in_a_second})
