"""A judge on localhost that prefers the longer answer, and fails as the instruction asks."""

import json
import math
import re

from fault_server import Handler


class Judge(Handler):
    """The instruction is `fault[,fault...] text`: one fault per request, in order; without one the judge answers."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.body = body
        prompt = body["messages"][0]["content"]
        if not prompt.startswith("Q: "):  # a control request
            with self.server.lock:
                self.server.asked["control"] += 1
            self.longer = "m"
            return self.judge(prompt)
        self.instruction, *answers = re.search(r"Q: (.*)\n1: (.*)\n2: (.*)", prompt).groups()
        self.longer = "mM"[len(answers[1]) > len(answers[0])]
        with self.server.lock:
            n_before = self.server.asked[self.instruction]
            self.server.asked[self.instruction] += 1
            self.server.bodies.append(body)
        faults = self.instruction.split(" ")[0].split(",") if self.instruction[:1].islower() else []
        getattr(self, faults[n_before] if n_before < len(faults) else "judge")(self.instruction)

    def judge(self, prompt):
        if self.body.get("logprobs"):
            other = "mM".replace(self.longer, "")
            self.one_token([(self.longer, 0.75), (other, 0.25)])
        elif self.one_word():
            self.reply({"m": "A", "M": "B"}[self.longer])
        else:
            self.reply({"m": "My own answer. [[A>B]]", "M": "My own answer. [[B>>A]]"}[self.longer])

    def one_word(self):
        """Whether the last message asks for one word: `label` in the template, or the request to finish."""
        return "one word" in self.body["messages"][-1]["content"]

    def first(self, prompt):
        self.reply("A" if self.one_word() else "[[A>>B]]")

    def m_only(self, prompt):
        self.one_token([("m", 0.9), ("M", 0.1)])

    def hesitant(self, prompt):
        other = "mM".replace(self.longer, "")
        self.one_token([("Both", 0.4), (self.longer, 0.45), (other, 0.15)])

    def empty(self, prompt):
        self.reply("")

    def spaced(self, prompt):
        self.reply({"m": "[[A >> B]]", "M": "[[B >> A]]"}[self.longer])

    def thinking(self, prompt):
        self.reply("<think>The first one looks good, perhaps [[A>>B]], but the sum")

    def draft(self, prompt):
        """Thinking without marks that was cut."""
        self.reply("The first one looks good, perhaps [[A>>B]], but the sum", finish_reason="length")

    def unsure(self, prompt):
        self.reply("I would rather not decide yet.")

    def refuse(self, prompt):
        self.reply("I cannot judge this.")

    def two_verdicts(self, prompt):
        self.reply("[[A>B]], or rather [[B>A]]")

    def other_label(self, prompt):
        self.reply("[[A>>>B]]")

    def bare(self, prompt):
        self.reply(self.longer)

    def foreign(self, prompt):
        self.one_token([("I", 0.9), ("As", 0.1)])

    def one_token(self, tokens):
        top = [{"token": token, "logprob": math.log(p), "bytes": None} for token, p in tokens]
        self.reply(tokens[0][0], {"content": [{**top[0], "top_logprobs": top}]})

    def reply(self, text, logprobs=None, finish_reason="stop"):
        choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 40, "completion_tokens": 2, "total_tokens": 42}
        body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "usage": usage}
        self.send(200, body | {"choices": [choice | {"logprobs": logprobs}]})


class Grader(Judge):
    """The grade is the number of words of the answer; the last message of the user begins with faults, if any."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.body = body
        self.instruction, answer = re.search(r"Q: (.*)\nA: (.*)", body["messages"][0]["content"], re.S).groups()
        self.grade, question = len(answer.split()), self.instruction.rpartition("user: ")[2]
        with self.server.lock:
            n_before = self.server.asked[question]
            self.server.asked[question] += 1
            self.server.bodies.append(body)
        faults = question.split(" ")[0].split(",") if question[:1].islower() else []
        getattr(self, faults[n_before] if n_before < len(faults) else "judge")(question)

    def judge(self, prompt):
        self.reply(f"It has some words. Rating: [[{self.grade}]]")

    def draft_grade(self, prompt):
        self.reply("<think>Perhaps [[3]].</think>Rating: 8/10")

    def too_high(self, prompt):
        self.reply("Rating: [[11]]")
