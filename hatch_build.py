"""The wheel of a checkout whose template is not released yet carries that template as a development version."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DevelopmentTemplate(BuildHookInterface[Any]):
    """Adds `releases/<version>.devN+g<commit>.bundle` to what is built, where git is there to make it from."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatch before it builds; an editable install needs nothing."""
        root = Path(self.root)
        if version == "editable" or not (root / ".git").exists():
            return
        sys.path.insert(0, str(root / "generator"))
        from perfgen import releases

        self.scratch = tempfile.TemporaryDirectory()
        repository = Path(self.scratch.name) / "template"
        releases.create(repository)
        releases.load(releases.bundled(root / "releases"), repository)
        known = releases.tags(repository)
        tag, dirty = releases.development(root, repository)
        if tag in known:
            return
        if dirty:
            self.app.display_warning(
                f"The template has uncommitted changes; they are in, as {tag}."
            )
        bundle = Path(self.scratch.name) / f"{tag.removeprefix('v')}.bundle"
        releases.write(repository, tag, bundle)
        folder = "perfgen/data/releases" if self.target_name == "wheel" else "releases"
        build_data["force_include"][str(bundle)] = f"{folder}/{bundle.name}"
