"""Heads that draft from the target's hidden states: EAGLE and EAGLE-3, in their published formats.

`published` reads the files, `checkpoint` makes a `head` from them, and `decoder` feeds that head
tokens and features. `taps` finds the features in the target.
"""
