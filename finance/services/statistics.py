"""What the planner has to be told before a big join: that looking up a few rows is cheap."""

from __future__ import annotations

from typing import Final

#: What is new is little and lies together: looking rows up one by one beats reading whole tables, which the planner,
#: thinking of a turning disk, takes for cheaper from some thousand lines on.
LOOK_UP: Final = "SET LOCAL random_page_cost = 1.1"
AS_EVER: Final = "SET LOCAL random_page_cost TO DEFAULT"
