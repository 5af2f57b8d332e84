"""Heads that draft from the target's hidden states: EAGLE and EAGLE-3, in their published formats.

`head` computes, `checkpoint` loads, `decoder` feeds a head tokens and the features before them.
"""
