"""Why a request is not answered, and its connection closed."""


class Refusal(Exception):
    """A request that the server does not take. The connection cannot be trusted afterwards.

    Attributes:
        status: Status code of the answer.
        detail: What is wrong, without a byte of the request.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
