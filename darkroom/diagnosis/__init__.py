"""What is wrong now, why, and what to do about it: sentences for people, from documents that others have read.

Pure. `platform` finds what any project can have, in the status document of the local runtime; an application adds its
own. The command line, the console and the linter show the same sentences, so their wording is here and nowhere else.
"""

from darkroom.diagnosis.finding import SEVERITIES, Finding, Severity, by_harm
from darkroom.diagnosis.platform import platform_findings

__all__ = ["SEVERITIES", "Finding", "Severity", "by_harm", "platform_findings"]
