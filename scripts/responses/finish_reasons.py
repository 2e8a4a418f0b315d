"""Why a response ended, in the words of endpoints and of this workflow."""

import polars as pl

SPELLINGS = {  # of OpenAI, Anthropic, Gemini, Mistral, Cohere, vLLM and text-generation-inference, in lower case
    "stop": "stop end_turn eos eos_token end_of_turn stop_sequence complete completed tool_calls tool_use",
    "length": "length max_tokens max_length max_new_tokens max_output_tokens model_length token_limit",
    "content_filter": "content_filter safety recitation refusal blocklist prohibited_content spii",
}
KNOWN = {spelling: reason for reason, spellings in SPELLINGS.items() for spelling in spellings.split()}


def with_finish_reasons(matched: pl.DataFrame) -> pl.DataFrame:
    """`finish_reason` as stop, length or null, and the reason `content_filter` for a response that a filter ended.

    matched: the result of match_responses, with or without a column finish_reason. A word that is not known counts as
    no reason, and is printed.
    """
    if "finish_reason" not in matched.columns:
        return matched.with_columns(finish_reason=pl.lit(None, pl.String))
    written = matched["finish_reason"].str.strip_chars()
    ends = written.str.to_lowercase().replace_strict(KNOWN, default=None, return_dtype=pl.String)
    if unknown := written.filter(ends.is_null() & (written != "")).value_counts(sort=True).rows():
        words = ", ".join(f"{word[:40]} ({n})" for word, n in unknown[:10])
        print(f"finish_reason that is not known, so that the response counts as finished: {words}")
    filtered = (pl.col("finish_reason") == "content_filter").fill_null(False) & pl.col("reason").is_null()
    return matched.with_columns(finish_reason=ends).with_columns(
        response=pl.when(~filtered).then("response"),
        reason=pl.when(filtered).then(pl.lit("content_filter")).otherwise("reason"),
        finish_reason=pl.when(pl.col("finish_reason") != "content_filter").then("finish_reason"),
    )
