"""What stands where a key manager is configured that cannot be asked: the API serves, and says so when it is named."""

from livia.core.drivers import SecretUnreadable
from livia.core.model.secret import Material


class AbsentSecrets:
    """A SecretStore that reads nothing. `manager`: what [certificates] cert_manager says."""

    def __init__(self, manager: str) -> None:
        self._manager = manager

    def read(self, reference: str, project_id: str | None) -> Material:
        raise SecretUnreadable(f"is kept by {self._manager}, which this service cannot ask")
