"""What the tests of the laboratory share."""

from __future__ import annotations

from importlib.util import find_spec

NEEDED = ("fastapi", "uvicorn", "prometheus_client", "limits", "httpx2")
# Without the optional dependencies of the server there is nothing to test in these.
collect_ignore = [] if all(map(find_spec, NEEDED)) else ["test_lab_site.py", "test_lab_browser.py"]
