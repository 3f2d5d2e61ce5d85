"""Reads the manifest of trusted documents, and adds the documents of the account pages."""

from dataclasses import replace

from graph.documents.trusted_documents import InvalidManifest, TrustedDocuments
from server.rest.account_pages import DOCUMENTS
from server.settings import Settings, Switch


def read_trusted_documents(settings: Settings) -> TrustedDocuments:
    """Returns the trusted documents of the manifest, if there is one. Raises InvalidManifest."""
    only = settings.trusted_documents_only is Switch.ON
    if settings.trusted_documents is None:
        if only:
            raise InvalidManifest("POSTERN_TRUSTED_DOCUMENTS_ONLY=on needs this file.")
        return TrustedDocuments()
    documents = TrustedDocuments.read(settings.trusted_documents, only=only)
    pages = frozenset(DOCUMENTS.values()) if settings.shows_account_pages else frozenset[str]()
    return replace(documents, built_in=pages)
