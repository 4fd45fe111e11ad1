"""Makes the original find the same modules on every machine.

Python imports this file before anything else. It hides what HIDDEN_MODULES names, so that a module
that happens to be installed doesn't change what the original does.
"""

import os
import sys

HIDDEN = os.environ.get("HIDDEN_MODULES", "").split()


class Hider:
    """Stands first among the finders of modules."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


sys.meta_path.insert(0, Hider)
