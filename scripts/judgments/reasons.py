"""Reasons why an answer is not judged."""

# of an answer: the model was never asked, so it is not judged (an empty answer is judged: it is wrong)
NEVER_ASKED = ["prompt_over_long", "earlier_turn_prompt_over_long", "not_trained"]
# of a baseline answer: missing in the imported table
NOT_IN_TABLE = ["not_in_import", "no_response"]
