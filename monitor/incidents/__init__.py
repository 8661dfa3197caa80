"""How a monitor is, and since when: results in, states and changes out.

Start at `model.py` for the nouns and `course.py` for the rules; both are pure. `bookkeeping.py` applies a
batch of results in the transaction that stores them.
It does not know who is alerted: a change is a row, and alerts read it.
"""
