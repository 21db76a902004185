"""Which analyses are made where nobody names any."""

from __future__ import annotations

import defectscope as ds
from defectscope.pipeline.unasked_analyses import unasked_analyses
from defectscope.plugins.testing import isolated_host


class Titled(ds.Analysis):
    """Asks the runtime when it is made."""

    def __init__(self, options=None, runtime=None):
        super().__init__(options, runtime)
        self.title = self.runtime.defect_types["black dot"].title

    def analyse(self, tables):
        return []


class Plugin:
    """Registers it."""

    @ds.hookimpl
    def defectscope_analyses(self):
        return [ds.ComponentSpec("titled", "Nothing.", f"{__name__}:Titled")]


def test_an_analysis_is_tried_with_what_is_registered():
    choices, warnings = unasked_analyses(isolated_host(Plugin()))
    assert [choice.name for choice in choices] == ["titled"]
    assert warnings == []
