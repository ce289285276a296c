"""The tables of the first revision, by subject, as they were then: whatever `livia.store.tables` says today."""
