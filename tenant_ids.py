"""What may be a tenant's id: the one grammar for settings, receiver and admin tool; the schema has it as a trigger.

No `:` because the limit key of a tenant `a:b` would be that of agent `b` of tenant `a`; no brace, star or slash because
of Redis's keys and our paths.
"""

import re

TENANT_ID = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
RULE = "1 to 64 letters, digits and _ . @ -"
