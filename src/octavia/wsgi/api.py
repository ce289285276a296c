"""The API for web servers, by the name they and deployment tools know (contract 90, section 0)."""

from livia.ops import wsgi

application = wsgi.application()
