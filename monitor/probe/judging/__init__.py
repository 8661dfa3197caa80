"""Whether a response is what a monitor expects of it.

Start at `judge.py`; `expect.py` says what an expectation is. It knows nothing of how a response came, so it
judges any response of any request.
"""
