"""New plugin projects from templates, one for each family."""

from __future__ import annotations

from defectscope.plugins.scaffold.naming import checked_name
from defectscope.plugins.scaffold.project import NewProject, new_project

__all__ = ["NewProject", "checked_name", "new_project"]
