"""The laboratory as a site: ``textnn lab``.

    exhibits -> ``page``: an HTML page each, and a list of them -> ``app``: behind HTTP, where controls can be moved
                                                                -> ``page.write``: files, with the default settings

``rooms`` runs what is asked, ``textnn.serving`` has the server around it. One script draws all exhibits.
"""

from __future__ import annotations
