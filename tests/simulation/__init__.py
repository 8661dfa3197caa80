"""The sharing of checks in virtual time: processes, their clocks, a model of Kafka's group coordinator.

`python -m tests.simulation --seeds 100` prints what becomes of the slots in each scenario.
"""
