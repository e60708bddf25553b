"""Files of a sidecar, put together. After `app`; before everything else in this room."""

from sidecar.files.attachments import Attachments
from sidecar.files.file_tickets import FileTickets
from sidecar.files.quota import Quota
from sidecar.files.shelf import Shelf
from sidecar.live.parts import Parts

MB = 1024 * 1024


def files_of(parts: Parts) -> Attachments:
    config = parts.config
    return Attachments(
        parts.store,
        parts.writer.write,
        parts.visitors.who,
        parts.turns.come_back,
        Shelf(config.data / "attachments", config.upload_most_mb * MB),
        config.uploads_a_minute,
        parts.door.subject,
        tasks=parts.tasks,
        tickets=FileTickets(config.secret_key),
        strangers=parts.strangers,
        quota=Quota(parts.store, config.files_per_tenant_mb * MB),
    )
