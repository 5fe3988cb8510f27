"""Measurements: ``make bench`` or ``make bench ONLY=visit``.

A group is a module here with ``async def rows() -> list[Row]`` and a docstring that tells what is measured
and how. The runner (``__main__``) finds the groups, prints a table of medians and writes
``build/bench/<group>.json``.
"""
