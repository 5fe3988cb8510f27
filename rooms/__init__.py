"""Who is in the room, and what each receives.

The machines, pure: ``room`` decides who is inside, paused and told what; ``commits`` are what it asked of
the store; ``seat`` is one seat's pages, device and presence; ``views`` say what a page may know; ``events``
come in, ``effects`` go out.
The media, pure: ``rtp``, ``rtcp``, ``sdp``; ``forwarding`` (the gate is its route table), ``gate``,
``feedback``.
The shells: ``ice``, ``dtls`` and ``peer`` make one transport; ``engine`` moves datagrams, ``batch`` many at
once through ``mmsg``; ``media`` is the UDP port, ``transports`` keeps those of one room, ``pages`` its pages,
``signs_of_life`` who of them is heard, ``commit_queue`` what it decided until that is durable, and ``runner``
is the one task that touches its room.

Frames are forwarded as they are: nothing here decodes, and a closed gate is a route that does not exist.
"""
