"""UDP and SCTP, balanced by nftables in the amphora's namespace, and allowed CIDRs of every listener.

`Packets` is all that an amphora needs to know of this package. What it renders is in docs/datagrams.md.
"""
