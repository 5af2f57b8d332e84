"""Heads that draft from the target's hidden states: EAGLE and EAGLE-3, in their published formats.

`published` reads files, `checkpoint` makes a `head` of them, `decoder` feeds it tokens and the
features before them, which `taps` finds in the target.
"""
