"""A judge on loopback that names the longer answer, and fails as the instruction demands."""

import json
import math
import re

from fault_server import Handler


class Judge(Handler):
    """The instruction is `fault[,fault...] text`; without faults the longer answer is the better one."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.body = body
        asked = body["messages"][0]["content"]
        self.instruction, *answers = re.search(r"Q: (.*)\n1: (.*)\n2: (.*)", asked).groups()
        self.longer = "mM"[len(answers[1]) > len(answers[0])]
        self.again = len(body["messages"]) > 1
        with self.server.lock:
            nth = self.server.asked[self.instruction]
            self.server.asked[self.instruction] += 1
            self.server.bodies.append(body)
        faults = self.instruction.split(" ")[0].split(",") if self.instruction[:1].islower() else []
        getattr(self, faults[nth] if nth < len(faults) else "judge")(self.instruction)

    def judge(self, prompt):
        if self.body.get("logprobs"):
            other = "mM".replace(self.longer, "")
            self.one_token([(self.longer, 0.75), (other, 0.25)])
        else:
            self.say({"m": "My own answer. [[A>B]]", "M": "My own answer. [[B>>A]]"}[self.longer])

    def unsure(self, prompt):
        self.say("I would rather not decide yet.")

    def refuse(self, prompt):
        self.say("I cannot judge this.")

    def torn(self, prompt):
        self.say("[[A>B]], or rather [[B>A]]")

    def sixth(self, prompt):
        self.say("[[A>>>B]]")

    def bare(self, prompt):
        self.say(self.longer)

    def foreign(self, prompt):
        self.one_token([("I", 0.9), ("As", 0.1)])

    def one_token(self, tokens):
        top = [{"token": token, "logprob": math.log(p), "bytes": None} for token, p in tokens]
        self.say(tokens[0][0], {"content": [{**top[0], "top_logprobs": top}]})

    def say(self, text, logprobs=None):
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 40, "completion_tokens": 2, "total_tokens": 42}
        body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "usage": usage}
        self.send(200, body | {"choices": [choice | {"logprobs": logprobs}]})
