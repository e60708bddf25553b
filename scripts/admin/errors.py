"""What the admin tool refuses or can't do: one sentence for the person, an exit code for the program.

1 CantDo    the server is away, the settings are wrong
2           usage: click's own
3 NotFound  unknown room, tenant or agent
4 Refused   a value that is none, or a step that wants --yes
"""

from typing import IO, Any

import click

from views.words import clean


class CantDo(click.ClickException):
    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"giliran: {clean(self.message, 1000)}", file=file, err=True)


class NotFound(CantDo):
    exit_code = 3


class Refused(CantDo):
    exit_code = 4
