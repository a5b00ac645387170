"""Codebook of the tiny base: every token stands for one sub-phone state."""

from tiny_base.tokens import SUBPHONE_STATES, TOKENS, phone_tokens


def test_each_phone_has_tokens_and_each_token_stands_for_one_phone() -> None:
    tokens = phone_tokens()
    assert sorted(token for states in tokens.values() for state in states for token in state) == list(
        range(len(TOKENS))
    )
    assert {SUBPHONE_STATES[TOKENS[token].state] for token in tokens["OY"][1]} == {"OY2"}
