"""How it is said on the wire.

``messages`` is the single source; ``codec`` reads outside bytes; ``problems`` and ``close_codes`` turn errors
into sentences for people. ``connection`` is the protocol of one WebSocket, pure; ``websocket`` its shell;
``live`` keeps the running rooms and ``board`` shows them to an admin. The HTTP handlers (``patient_api``,
``staff_api``, ``audit_api``, ``board_api``, ``pages``) declare their permission in ``routing``. ``app`` puts
everything together; ``settings``, ``tls`` and ``logs`` surround it; ``cli``, ``doctor`` and ``demo`` are the
command line.
"""
