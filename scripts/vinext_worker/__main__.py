from __future__ import annotations

from vinext_worker.main import main

main()
