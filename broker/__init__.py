"""Who may do what, and what was done.

The words: ``ids``, ``private`` values, ``errors``; ``seats`` and ``sessions``, the ``agreement``, the
``policy``. The record: ``audit`` fixes the bytes of an event, ``sealing`` hides its body, ``ledger`` appends
and reads. The shells: ``redis_store`` (the only door to the store) and ``store`` (its words; the Lua scripts
change state and append the event in one step), ``circuit``, ``embedded`` (the store as a supervised child),
``passwords`` (Argon2id), ``files``. The services: ``booking`` makes sessions, ``credentials`` lets people up
to the waiting room, ``tickets`` opens their connections, ``admission`` moves seats, ``identity`` knows the
staff, ``placement`` says which worker runs a room and ``tenure`` for how long it may go by that.

Imports nothing from ``rooms`` or ``signaling``.
"""
