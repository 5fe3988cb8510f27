"""``python -m tests.bench.parts.plain serve …``: the ``quietroom`` command where the batch does not work.

There is no setting for it: the server finds out by itself. Here it finds that there is no ``recvmmsg``.
"""

from __future__ import annotations

import errno
from typing import Any

from rooms import mmsg
from signaling.cli import main


def _nothing() -> Any:
    raise OSError(errno.ENOSYS, "no batch in this process")


if __name__ == "__main__":
    mmsg.system_calls = _nothing
    main()
