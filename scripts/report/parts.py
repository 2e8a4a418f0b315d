"""How much of the order by CAR is the reward's, and how much the loss's, in words."""


def parts_in_words(size: dict) -> str:
    """Sentences on a row of sample_size.csv; empty if neither tau exists."""
    taus = {"r": size["tau_reward"], "minus the loss": size["tau_loss"]}
    named = " and ".join(f"{value:.2f} with {part}" for part, value in taus.items() if value is not None)
    if not named:
        return ""
    sentence = f"Kendall's tau of CAR is {named}."
    reward, loss = size["spread_reward"], size["spread_loss"]
    if reward is None:
        return sentence
    more = "the loss" if loss > reward else "the reward"
    return (
        f"{sentence} Over the teachers log r varies by {reward:.2f}, log(1 + beta L) by {loss:.2f}: {more} weighs more."
    )
