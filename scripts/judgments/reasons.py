"""Reasons for which an answer is not judged."""

# an answer that nobody was asked for is not judged, where an empty one is wrong
NEVER_ASKED = ["prompt_over_long", "not_trained"]
NOT_IN_TABLE = ["not_in_import", "no_response"]  # of a baseline's answers that were imported
