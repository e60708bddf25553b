"""How the simulated desk says no: the model raises it, both HTTP halves answer with it."""


class Refused(Exception):
    """The desk says no. `status` is the HTTP status, the text is what it answers."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
